//! Image files built by hand, for what encoders do not write.

/// CRC-32 as PNG uses it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A PNG chunk: length, name, data, checksum.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&length, named.as_slice(), &crc(&named).to_be_bytes()].concat()
}

/// A zlib stream of one stored block.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a small image");
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &v| {
        let a = (a + u32::from(v)) % 65_521;
        (a, (a + b) % 65_521)
    });
    [
        &[0x78, 0x01, 0x01],
        length.to_le_bytes().as_slice(),
        &(!length).to_le_bytes(),
        data,
        &(b << 16 | a).to_be_bytes(),
    ]
    .concat()
}

/// The header chunk.
pub(crate) fn header(width: u32, height: u32, bit_depth: u8, colour_type: u8) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(
        b"IHDR",
        &[&sides, [bit_depth, colour_type, 0, 0, 0].as_slice()].concat(),
    )
}

pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A PNG with `extra` chunks before the data; each of `rows` is one line's bytes, unfiltered.
pub(crate) fn png(header: &[u8], extra: &[u8], rows: &[&[u8]]) -> Vec<u8> {
    let lines: Vec<u8> = rows.iter().flat_map(|row| [&[0], *row].concat()).collect();
    let data = chunk(b"IDAT", &stored(&lines));
    [SIGNATURE, header, extra, &data, &chunk(b"IEND", b"")].concat()
}

/// An 8 x 8 JPEG with four channels and Adobe's marker, all pixels of cyan 200, magenta 30,
/// yellow 90, black 20 before compression, written once by Pillow 12, which reads it back as
/// red 51, green 208, blue 152.
pub(crate) const CMYK_JPEG: &str = "\
    ffd8ffee000e41646f626500640000000000ffdb0043000d090a0b0a080d0b0a\
    0b0e0e0d0f13201513121213271c1e17202e2931302e292d2c333a4a3e333646\
    372c2d405741464c4e525352323e5a615a50604a51524fffc000140800080008\
    044311004d11005911004b1100ffc40016000101010000000000000000000000\
    0000060507ffc40014100100000000000000000000000000000000ffda000e04\
    43004d0059004b00003f002478aed09fffd9";

/// The bytes that hexadecimal digits stand for.
pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let pair = |i| u8::from_str_radix(&digits[i..i + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}
