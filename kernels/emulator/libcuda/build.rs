//! Names the shared library as its users will ask for it, and remembers where it will lie.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // cudarc asks for this name first. A library that is already loaded under it is what it gets, even
    // where a real driver is installed.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
}
