//! Which images are compared with which.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::super::progress::say;
use crate::picture::list_images;

/// Two files to compare.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) reference: PathBuf,
    pub(super) distorted: PathBuf,
}

/// Pairs that have a mean together, if they are those of two folders.
pub(super) struct Group {
    pub(super) of_folders: bool,
    pub(super) reference: PathBuf,
    pub(super) distorted: PathBuf,
    pub(super) pairs: Vec<Pair>,
}

/// The pairs of one image and many, or of one folder and others.
///
/// Says which images of folders have no partner.
pub(super) fn of(reference: &Path, distorted: &[PathBuf]) -> Result<Vec<Group>, Failure> {
    let folders = reference.is_dir();
    let odd = distorted.iter().find(|path| path.is_dir() != folders);
    if let Some(odd) = odd {
        for path in [reference, odd] {
            if let Err(error) = path.metadata() {
                let path = path.display();
                return Err(Failure::Message(format!("{path}: cannot be read: {error}")));
            }
        }
        let (folder, file) = if folders {
            (reference, &**odd)
        } else {
            (&**odd, reference)
        };
        return Err(Failure::Message(format!(
            "{}: is a folder where {} is not; name two images, or two folders",
            folder.display(),
            file.display()
        )));
    }
    let of_file = |distorted: &PathBuf| Pair {
        reference: reference.to_owned(),
        distorted: distorted.clone(),
    };
    if folders {
        return distorted
            .iter()
            .map(|other| of_folders(reference, other))
            .collect();
    }
    Ok(vec![Group {
        of_folders: false,
        reference: reference.to_owned(),
        distorted: PathBuf::new(),
        pairs: distorted.iter().map(of_file).collect(),
    }])
}

fn of_folders(reference: &Path, distorted: &Path) -> Result<Group, Failure> {
    let matched = match_names(list_images(reference)?, list_images(distorted)?);
    for (alone, folder) in [
        (&matched.references, distorted),
        (&matched.distorted, reference),
    ] {
        for path in alone {
            say(&format!(
                "{}: passed over, for want of an image of that name in {}",
                path.display(),
                folder.display()
            ));
        }
    }
    if matched.pairs.is_empty() {
        return Err(Failure::Message(format!(
            "{}, {}: no image of one has the name of an image of the other; rename them, or \
             compare files one by one",
            reference.display(),
            distorted.display()
        )));
    }
    Ok(Group {
        of_folders: true,
        reference: reference.to_owned(),
        distorted: distorted.to_owned(),
        pairs: matched.pairs,
    })
}

/// Pairs in the order of the references' names, and who is left alone.
struct Matched {
    pairs: Vec<Pair>,
    references: Vec<PathBuf>,
    distorted: Vec<PathBuf>,
}

/// Pairs files of the same name, then those whose name without its ending nobody else on either side
/// has among those that are left.
fn match_names(references: Vec<PathBuf>, distorted: Vec<PathBuf>) -> Matched {
    let mut pairs = Vec::new();
    let by_name = |path: &PathBuf| path.file_name().map(OsStr::to_owned);
    let by_stem = |path: &PathBuf| path.file_stem().map(OsStr::to_owned);
    let (references, distorted) = match_by(by_name, references, distorted, &mut pairs);
    let (references, distorted) = match_by(by_stem, references, distorted, &mut pairs);
    pairs.sort_by(|a, b| a.reference.cmp(&b.reference));
    Matched {
        pairs,
        references,
        distorted,
    }
}

/// Pairs files of one key that no other has; the others come back in their order.
fn match_by<K: Eq + std::hash::Hash>(
    key: impl Fn(&PathBuf) -> K,
    references: Vec<PathBuf>,
    distorted: Vec<PathBuf>,
    pairs: &mut Vec<Pair>,
) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut owners: HashMap<K, [Vec<PathBuf>; 2]> = HashMap::new();
    for (side, paths) in [references, distorted].into_iter().enumerate() {
        for path in paths {
            owners.entry(key(&path)).or_default()[side].push(path);
        }
    }
    let (mut references, mut distorted) = (Vec::new(), Vec::new());
    for [mut x, mut y] in owners.into_values() {
        if let ([_], [_]) = (&x[..], &y[..]) {
            pairs.extend(x.pop().zip(y.pop()).map(|(reference, distorted)| Pair {
                reference,
                distorted,
            }));
        } else {
            references.append(&mut x);
            distorted.append(&mut y);
        }
    }
    references.sort();
    distorted.sort();
    (references, distorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_first_then_names_without_endings() {
        let paths = |folder: &str, names: &[&str]| -> Vec<PathBuf> {
            names
                .iter()
                .map(|name| Path::new(folder).join(name))
                .collect()
        };
        let matched = match_names(
            paths("a", &["1.png", "2.png", "3.jpg", "3.png", "4.png", "5.png"]),
            paths(
                "b",
                &["1.png", "2.jpg", "3.webp", "4.jpg", "4.png", "6.png"],
            ),
        );
        let pair = |a: &str, b: &str| Pair {
            reference: Path::new("a").join(a),
            distorted: Path::new("b").join(b),
        };
        assert_eq!(
            matched.pairs,
            [
                pair("1.png", "1.png"),
                pair("2.png", "2.jpg"),
                pair("4.png", "4.png")
            ]
        );
        assert_eq!(matched.references, paths("a", &["3.jpg", "3.png", "5.png"]));
        assert_eq!(matched.distorted, paths("b", &["3.webp", "4.jpg", "6.png"]));
    }
}
