//! The committed PTX belongs to the committed sources: their hashes are those of the manifest.

use sha2::{Digest, Sha256};
use std::path::Path;

#[test]
fn sources_and_ptx_are_those_of_the_manifest() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("ptx/MANIFEST")).expect("the manifest");
    let mut listed = Vec::new();
    for line in manifest.lines() {
        let Some((hash, name)) = line.strip_prefix("sha256 ").and_then(|l| l.split_once(' '))
        else {
            continue;
        };
        let content = std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let actual: String = Sha256::digest(&content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(actual, hash, "{name} has changed: run kernels/generate.py");
        listed.push(name.to_owned());
    }
    let mut present = Vec::new();
    for part in ["cu", "ptx"] {
        for entry in std::fs::read_dir(folder.join(part)).expect("the folder") {
            let name = entry.expect("an entry").file_name();
            present.push(format!("{part}/{}", name.to_string_lossy()));
        }
    }
    present.retain(|name| name != "ptx/MANIFEST");
    present.sort();
    assert_eq!(
        listed, present,
        "files that the manifest lists, and files that are there"
    );
}

#[test]
fn every_text_is_ptx_7_0_for_sm_80() {
    use msssim_kernels::{COMBINE, FINISH, GRADIENT, PRODUCT, STATISTICS, TERMS, WEIGHTED};
    for text in [
        STATISTICS, GRADIENT, COMBINE, FINISH, TERMS, WEIGHTED, PRODUCT,
    ] {
        let module = msssim_ptx_emulator::Module::parse(text).expect("PTX");
        assert_eq!((module.version(), module.target()), ("7.0", "sm_80"));
    }
}
