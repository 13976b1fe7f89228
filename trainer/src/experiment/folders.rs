//! Folders in a configuration: a list, or one alone, which is how earlier versions wrote them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Reads a list of folders, or a single one.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    from.deserialize_any(Folders)
}

struct Folders;

impl<'de> Visitor<'de> for Folders {
    type Value = Vec<PathBuf>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a folder or a list of folders")
    }

    fn visit_str<E: Error>(self, folder: &str) -> Result<Self::Value, E> {
        Ok(vec![folder.into()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, folders: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(folders))
    }
}
