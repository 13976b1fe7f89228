//! Event files that TensorBoard reads: scalars over steps.
//!
//! A file is a sequence of TFRecords, each a length of 8 bytes, the masked CRC-32C of these, the
//! data, and the masked CRC-32C of the data, all little-endian. The data is an `Event` message:
//!
//! ```text
//! Event   { wall_time: double = 1, step: int64 = 2, one of
//!           file_version: string = 3, summary: Summary = 5, session_log: SessionLog = 7 }
//! Summary { value: repeated Value = 1 }      Value { tag: string = 1, simple_value: float = 2 }
//! SessionLog { status: START is 1 = 1 }
//! ```
//!
//! The field numbers are those of TensorFlow's `event.proto` and `summary.proto`. Records are
//! appended as they come, so that a run can be watched; a last record that was cut off is passed
//! over by readers.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::protobuf::Message;

/// How long a scalar may wait before it can be read from the file.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Appends scalars to an event file of its own.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    flushed: Instant,
}

impl EventWriter {
    /// Makes a file in `folder`, which is made too, for scalars from `first_step` on.
    ///
    /// Of what earlier files of the folder hold, TensorBoard drops the steps from `first_step` on,
    /// so that a resumed run is one curve.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(folder: &Path, first_step: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let seconds = wall_time().floor();
        // Files are read in the order of their names; the second of two in the same second differs
        // in its last part.
        let mut number = 0u32;
        let file = loop {
            let name = format!("events.out.tfevents.{seconds:010}.msssim.{number:04}");
            match File::create_new(folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                other => break other?,
            }
        };
        let mut writer = Self {
            file: BufWriter::new(file),
            flushed: Instant::now(),
        };
        writer.event(event(0).bytes(3, "brain.Event:2"))?;
        let start = Message::default().int(1, 1);
        writer.event(event(first_step).message(7, start))?;
        writer.file.flush()?;
        Ok(writer)
    }

    /// Appends the scalar `tag` at `step`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> io::Result<()> {
        let scalar = Message::default().bytes(1, tag).float(2, value);
        let summary = Message::default().message(1, scalar);
        self.event(event(step).message(5, summary))?;
        if self.flushed.elapsed() > FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything to the file system.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.file.flush()
    }

    /// Appends a record.
    fn event(&mut self, event: Message) -> io::Result<()> {
        let event = event.into_bytes();
        let length = (event.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(&event)?;
        self.file.write_all(&masked_crc(&event).to_le_bytes())
    }
}

/// An event of now, at a step, whose content is to follow.
fn event(step: u64) -> Message {
    Message::default()
        .double(1, wall_time())
        .int(2, step as i64)
}

/// Seconds since 1970.
fn wall_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// TFRecord's checksum: rotated and shifted, so that a record may hold records.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C: Castagnoli's polynomial, bits reversed.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc: u32, byte| {
        (crc >> 8) ^ TABLE[(crc as u8 ^ byte) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        // Appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46DD_794E);
        assert_eq!(crc32c(b""), 0);
    }

    /// The payloads of the records, checksums checked.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = word(0) as usize;
            assert_eq!(word(8), masked_crc(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(word(12 + length), masked_crc(data));
            records.push(data.to_vec());
            bytes = &bytes[16 + length..];
        }
        records
    }

    #[test]
    fn records_hold_what_was_said() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("events");
        let mut writer = EventWriter::create(&folder, 300).unwrap();
        writer.scalar("loss", 301, 0.25).unwrap();
        writer.flush().unwrap();
        let second = EventWriter::create(&folder, 302);
        assert!(second.is_ok(), "a file of its own");
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let records = records(&fs::read(&files[0]).unwrap());
        assert_eq!(records.len(), 3);
        // After the wall time, which differs.
        assert_eq!(records[0][9..], *b"\x10\x00\x1a\x0dbrain.Event:2");
        assert_eq!(records[1][9..], *b"\x10\xac\x02\x3a\x02\x08\x01");
        let value = 0.25f32.to_le_bytes();
        let expected = [b"\x10\xad\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15", &value[..]].concat();
        assert_eq!(records[2][9..], expected);
    }
}
