//! Which files `--csv` and `--map` may write.

use std::path::Path;

use super::super::{Failure, Outcome};
use super::Arguments;
use super::pairs::Group;

/// Refuses files that must not be written, before anything is computed.
pub(super) fn check(arguments: &Arguments, reference: &Path, groups: &[Group]) -> Outcome {
    let outputs = [arguments.csv.as_deref(), arguments.map.path()];
    let pairs = groups.iter().flat_map(|group| &group.pairs);
    let inputs = pairs.flat_map(|pair| [pair.reference.as_path(), &pair.distorted]);
    let inputs = inputs.chain([reference]).chain(arguments.mask.as_deref());
    // Paths that differ may lead to one file.
    let inputs: Vec<_> = inputs.filter_map(|path| path.canonicalize().ok()).collect();
    if let [Some(csv), Some(map)] = outputs
        && csv == map
    {
        return Err(Failure::Message(format!(
            "{}: the file of both --csv and --map; name two",
            csv.display()
        )));
    }
    for path in outputs.into_iter().flatten() {
        let refuse = |words: &str| Err(Failure::Message(format!("{}: {words}", path.display())));
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return refuse("there is no such folder; make it first");
        }
        if path.is_dir() {
            return refuse("is a folder; name a file");
        }
        if path.canonicalize().is_ok_and(|path| inputs.contains(&path)) {
            return refuse("is one of the images to compare; choose another name");
        }
        if path.exists() && !arguments.force {
            return refuse("exists already; choose another name or replace it with --force");
        }
    }
    Ok(())
}
