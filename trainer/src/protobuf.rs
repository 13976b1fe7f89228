//! As much of the protocol buffer encoding as ONNX and event files take.
//!
//! A message is its fields one after another, each a key, `number * 8 + wire type`, and a value: an
//! integer in groups of seven bits, the lowest first (wire type 0), a `double` (1), a length and so many
//! bytes (2), or a `float` (5), both little-endian.

/// A message in the making.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// With an integer; a negative one as its two's complement.
    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    /// With a double.
    pub(crate) fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// With a float.
    pub(crate) fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// With bytes, or a string.
    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// With a message.
    pub(crate) fn message(self, field: u64, value: Self) -> Self {
        self.bytes(field, value.bytes)
    }

    /// The encoded message.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's own documentation.
    #[test]
    fn the_documented_examples() {
        let message = Message::default().int(1, 150);
        assert_eq!(message.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing");
        let expected = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(text.into_bytes(), expected);
        let nested = Message::default().message(3, message);
        assert_eq!(nested.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let negative = Message::default().int(1, -2).into_bytes();
        assert_eq!(negative.len(), 11);
    }
}
