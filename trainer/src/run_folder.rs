//! The folder of one run: made anew, never shared, every file whole.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic_file;

/// The file that makes a folder a run's: its configuration, as `--config` reads it.
pub const CONFIGURATION: &str = "config.toml";

/// The longest configuration that is read.
const MAX_CONFIGURATION: u64 = 1 << 20;

/// Why a run has no folder.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// It holds something already.
    #[error(
        "{}: the folder is not empty; choose another with --out, or continue the run in it with --resume",
        .0.display()
    )]
    NotEmpty(PathBuf),
    /// There is nothing to resume.
    #[error("{}: no run to resume here (it has no {CONFIGURATION}); leave --resume out to start one", .0.display())]
    NoRun(PathBuf),
    /// A file of the run is damaged.
    #[error("{}: cannot be read: {error}; move it away, and it is made again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {error}; choose another folder with --out", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A configuration cannot be understood.
    #[error(
        "{}: not a configuration of this command: {error}; --save-config writes one",
        path.display()
    )]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why, and in which line.
        error: String,
    },
}

/// A folder that belongs to one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a folder for a new run: `out`, which must be new or empty; else `default`, or
    /// `default-2`, `default-3` and so on if earlier runs are there.
    ///
    /// # Errors
    /// [`RunFolderError`] names the folder and the remedy.
    pub fn create(out: Option<&Path>, default: &Path) -> Result<Self, RunFolderError> {
        let path = match out {
            Some(out) => out.to_owned(),
            None => numbered(default)
                .find(|path| !path.exists())
                .unwrap_or_else(|| default.to_owned()),
        };
        let write = |error| RunFolderError::Write {
            path: path.clone(),
            error,
        };
        fs::create_dir_all(&path).map_err(write)?;
        if fs::read_dir(&path).map_err(write)?.next().is_some() {
            return Err(RunFolderError::NotEmpty(path));
        }
        let folder = Self { path };
        // Find out now, not after an hour of training.
        let probe = folder.file(".probe");
        folder.write(".probe", b"")?;
        fs::remove_file(&probe).map_err(|error| RunFolderError::Write { path: probe, error })?;
        Ok(folder)
    }

    /// The folder of a run to continue: `out`, else the newest of `default` and its successors.
    ///
    /// # Errors
    /// [`RunFolderError::NoRun`].
    pub fn resume(out: Option<&Path>, default: &Path) -> Result<Self, RunFolderError> {
        let path = match out {
            Some(out) => out.to_owned(),
            None => numbered(default)
                .take_while(|path| path.exists())
                .last()
                .unwrap_or_else(|| default.to_owned()),
        };
        let folder = Self { path };
        if folder.file(CONFIGURATION).is_file() {
            Ok(folder)
        } else {
            Err(RunFolderError::NoRun(folder.path))
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made if it is not there.
    ///
    /// # Errors
    /// [`RunFolderError::Write`].
    pub fn subfolder(&self, name: &str) -> Result<Self, RunFolderError> {
        let path = self.file(name);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self { path }),
            Err(error) => Err(RunFolderError::Write { path, error }),
        }
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// [`RunFolderError::Write`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunFolderError> {
        let path = self.file(name);
        atomic_file::write(&path, |out| out.write_all(content))
            .map_err(|error| RunFolderError::Write { path, error })
    }

    /// Writes the run's configuration.
    ///
    /// # Errors
    /// [`RunFolderError::Write`].
    pub fn write_configuration(
        &self,
        configuration: &impl Serialize,
    ) -> Result<(), RunFolderError> {
        write_configuration(&self.file(CONFIGURATION), configuration)
    }

    /// Reads the run's configuration.
    ///
    /// # Errors
    /// [`RunFolderError::Configuration`].
    pub fn read_configuration<T: DeserializeOwned>(&self) -> Result<T, RunFolderError> {
        read_configuration(&self.file(CONFIGURATION))
    }

    /// Reads a value from JSON.
    ///
    /// # Errors
    /// [`RunFolderError::Read`].
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunFolderError> {
        let path = self.file(name);
        let text = fs::read_to_string(&path);
        text.and_then(|text| Ok(serde_json::from_str(&text)?))
            .map_err(|error| RunFolderError::Read { path, error })
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// [`RunFolderError::Write`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunFolderError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| RunFolderError::Write {
            path: self.file(name),
            error: error.into(),
        })?;
        self.write(name, (text + "\n").as_bytes())
    }
}

/// Writes a configuration as TOML, whole or not at all; an earlier file is replaced.
///
/// # Errors
/// [`RunFolderError::Write`].
pub fn write_configuration(
    path: &Path,
    configuration: &impl Serialize,
) -> Result<(), RunFolderError> {
    let text = toml::to_string_pretty(configuration).map_err(io::Error::other);
    text.and_then(|text| atomic_file::write(path, |out| out.write_all(text.as_bytes())))
        .map_err(|error| RunFolderError::Write {
            path: path.to_owned(),
            error,
        })
}

/// Reads a configuration; keys that are left out keep their defaults, unknown ones are refused.
///
/// # Errors
/// [`RunFolderError::Configuration`] names the file and the line.
pub fn read_configuration<T: DeserializeOwned>(path: &Path) -> Result<T, RunFolderError> {
    let refuse = |error: String| RunFolderError::Configuration {
        path: path.to_owned(),
        error,
    };
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_CONFIGURATION).read_to_string(&mut text))
        .map_err(|error| refuse(error.to_string()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| {
            let before = text.as_bytes().iter().take(span.start);
            before.filter(|byte| **byte == b'\n').count() + 1
        });
        let message = error.message().replace('\n', " ");
        refuse(match line {
            Some(line) => format!("line {line}: {message}"),
            None => message,
        })
    })
}

/// `path`, `path-2`, `path-3` and so on.
fn numbered(path: &Path) -> impl Iterator<Item = PathBuf> {
    let successor = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        if n > 1 {
            name.push(format!("-{n}"));
        }
        PathBuf::from(name)
    };
    (1..).map(successor)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Configuration {
        number: u64,
        rate: Option<f64>,
    }

    fn numbered(number: u64) -> Configuration {
        Configuration {
            number,
            rate: Some(0.1f64.next_up()),
        }
    }

    #[test]
    fn an_earlier_run_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let default = root.path().join("run");
        let first = RunFolder::create(None, &default).unwrap();
        first.write_configuration(&numbered(1)).unwrap();
        let second = RunFolder::create(None, &default).unwrap();
        assert_eq!(second.path(), root.path().join("run-2"));
        second.write_configuration(&numbered(2)).unwrap();
        let error = RunFolder::create(Some(first.path()), &default)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not empty") && error.contains("--resume"),
            "{error}"
        );
        let newest = RunFolder::resume(None, &default).unwrap();
        assert_eq!(
            newest.read_configuration::<Configuration>().unwrap(),
            numbered(2)
        );
        let chosen = RunFolder::resume(Some(first.path()), &default).unwrap();
        assert_eq!(
            chosen.read_configuration::<Configuration>().unwrap(),
            numbered(1)
        );
    }

    #[test]
    fn bad_folders_are_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = RunFolder::create(Some(&file.join("run")), Path::new("-")).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        let error = RunFolder::resume(Some(root.path()), Path::new("-")).unwrap_err();
        assert!(error.to_string().contains("no run to resume"), "{error}");
    }
    #[test]
    fn a_bad_configuration_is_named_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("my.toml");
        let read = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            read_configuration::<Configuration>(&path)
        };
        assert_eq!(read(b"").unwrap(), Configuration::default());
        assert_eq!(read(b"number = 3\n").unwrap().number, 3);
        for (text, words) in [
            (
                &b"number = 1\nnumbre = 2\n"[..],
                "line 2: unknown field `numbre`",
            ),
            (b"number = -1", "line 1"),
            (b"rate = \"fast\"", "line 1"),
            (b"number = ", "line 1"),
            (b"\xff\xfe", "UTF-8"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains("my.toml") && error.contains(words),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        let error = read_configuration::<Configuration>(root.path()).unwrap_err();
        assert!(error.to_string().contains("--save-config"), "{error}");
        // A seed may be any 64 bits, more than other writers of TOML allow.
        write_configuration(&path, &numbered(u64::MAX)).unwrap();
        let read = read_configuration::<Configuration>(&path).unwrap();
        assert_eq!(read, numbered(u64::MAX));
    }
}
