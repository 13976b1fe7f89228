//! The scores as this machine computes them.

use scenes::{SCENES, SCRATCH_LEN};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scratch = vec![f32::NAN; SCRATCH_LEN];
    for scene in &SCENES {
        println!("{} {:016x}", scene.name, scene.bits(&mut scratch)?);
    }
    Ok(())
}
