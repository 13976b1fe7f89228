//! The C interface as a static library for firmware: `libclib.a` has the functions of `msssim.h`.

#![no_std]

extern crate msssim;
