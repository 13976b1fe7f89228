//! The program `msssim`.

fn main() {}
