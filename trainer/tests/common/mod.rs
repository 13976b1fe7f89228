//! What several tests share.

use std::io::Write;
use std::path::PathBuf;

/// A file or folder of the real images, if this machine has them: in the folder that `MSSSIM_DATA`
/// names, else in one beside the workspace.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("MSSSIM_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        // Not through `println!`, which the test runner keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: no data ({name})");
        return None;
    }
    Some(path)
}
