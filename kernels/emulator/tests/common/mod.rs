//! Runs snippets of PTX.

use msssim_ptx_emulator::{Argument, Counters, Device, Finding, LaunchError, Module, Shape};

/// A kernel `k(data)` around `body`: `%a` holds the address of `data`, `%t` the thread in its block.
pub(crate) fn kernel(declarations: &str, body: &str) -> String {
    format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n{declarations}\n\
         .visible .entry k(.param .u64 data) {{\n\
         .reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<40>; .reg .b64 %d<16>; .reg .f32 %f<16>;\n\
         .reg .b64 %a, %e; .reg .b32 %t;\n\
         ld.param.u64 %a, [data];\n\
         mov.u32 %t, %tid.x;\n\
         {body}\n\
         ret;\n}}\n"
    )
}

/// Runs `text`'s kernel `k` on `data` and returns what `data` became.
pub(crate) fn run(
    text: &str,
    shape: Shape,
    data: &[u32],
) -> Result<(Vec<u32>, Counters), LaunchError> {
    let mut device = Device::new();
    let module = device.load(Module::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}")));
    let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
    let address = device.upload(&bytes);
    let counters = device.launch(&module, "k", shape, &[Argument::from(address)])?;
    let bytes = device.read(address, bytes.len()).expect("the data");
    let words = bytes.chunks_exact(4);
    let words = words.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok((words.collect(), counters))
}

/// One block of `threads` threads.
#[allow(dead_code, reason = "not every test file runs something")]
pub(crate) fn block(threads: u32) -> Shape {
    Shape::new([1; 3], [threads, 1, 1])
}

/// The finding of a launch that must fail.
#[allow(dead_code, reason = "not every test file looks for findings")]
pub(crate) fn finding(text: &str, shape: Shape, data: &[u32]) -> Finding {
    match run(text, shape, data) {
        Err(LaunchError::Finding(finding)) => *finding,
        other => panic!("{other:?} where a finding is expected"),
    }
}

/// The line of `text`, counted from 1, that holds `part` for the first time.
#[allow(dead_code, reason = "not every test file looks for lines")]
pub(crate) fn line_of(text: &str, part: &str) -> u32 {
    let before = text.split(part).next().expect("the part");
    before.matches('\n').count() as u32 + 1
}
