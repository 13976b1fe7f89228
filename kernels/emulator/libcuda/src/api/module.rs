//! Modules, functions and launches.

use std::ffi::c_void;

use msssim_ptx_emulator::{Argument, Shape};

use super::context::not_supported;
use super::{Array, Buffer, CallersMemory, Out, Text, export, with};
use crate::driver::Command;
use crate::status::{Failure, Outcome, Status};

/// `CUjit_option`: where logs go, and how much room there is.
const INFO_LOG: i32 = 3;
const INFO_LOG_SIZE: i32 = 4;
const ERROR_LOG: i32 = 5;
const ERROR_LOG_SIZE: i32 = 6;

/// Writes `text` to the log that the options name, cut to its room.
fn write_log(text: &str, options: &[(i32, usize)], log: i32, size: i32) {
    let find = |wanted| {
        options
            .iter()
            .find(|(option, _)| *option == wanted)
            .map(|&(_, value)| value)
    };
    let (Some(buffer), Some(room)) = (find(log), find(size)) else {
        return;
    };
    // The size's own value is the room, as an integer in the place of a pointer.
    let room = room as u32 as usize;
    if room > 0 {
        let mut bytes = text.as_bytes()[..text.len().min(room - 1)].to_vec();
        bytes.push(0);
        Buffer(buffer as *mut c_void).write(&bytes);
    }
}

fn load(image: &Text) -> Outcome<usize> {
    let text = image.read()?;
    with(|driver| driver.load(&text))
}

/// `CUfunction_attribute` by number.
fn attribute(function: usize, number: i32) -> Outcome<i32> {
    with(|driver| {
        let info = driver.info(function)?;
        let capability = driver.settings.compute_capability;
        Ok(match number {
            0 => info.max_threads as i32,
            1 => info.shared_bytes as i32,
            3 => info.local_bytes as i32,
            5 | 6 => capability,
            8 => *driver.dynamic_shared(function)? as i32,
            _ => 0,
        })
    })
}

/// Reads the arguments that the kernel's parameters say are there.
fn arguments(function: usize, pointers: &Array<Buffer>) -> Outcome<Vec<Argument>> {
    let parameters = with(|driver| Ok(driver.info(function)?.parameters))?;
    let mut arguments = Vec::with_capacity(parameters.len());
    for (index, (_, bytes)) in parameters.into_iter().enumerate() {
        let pointer = pointers.get(index)?;
        if pointer.0.is_null() {
            return Err(Failure::new(
                Status::InvalidValue,
                format!("argument {index} is null"),
            ));
        }
        let mut argument = vec![0; bytes];
        pointer.read(&mut argument);
        arguments.push(Argument(argument));
    }
    Ok(arguments)
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Buffer {}

export! {
    fn cuModuleLoadData(module: Out<usize>, image: Text) {
        module.put(load(&image)?)
    }

    fn cuModuleLoadDataEx(
        module: Out<usize>,
        image: Text,
        count: u32,
        options: Array<i32>,
        values: Array<usize>,
    ) {
        let mut given = Vec::new();
        for i in 0..count as usize {
            given.push((options.get(i)?, values.get(i)?));
        }
        let loaded = load(&image);
        let text = loaded.as_ref().err().map_or("", |failure| failure.text.as_str());
        write_log(text, &given, ERROR_LOG, ERROR_LOG_SIZE);
        write_log("", &given, INFO_LOG, INFO_LOG_SIZE);
        module.put(loaded?)
    }

    fn cuModuleLoad(module: Out<usize>, path: Text) {
        let path = path.read()?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::new(Status::FileNotFound, format!("{path}: {error}")))?;
        module.put(with(|driver| driver.load(&text))?)
    }

    fn cuModuleUnload(module: usize) {
        with(|driver| driver.unload(module, &CallersMemory))
    }

    fn cuModuleGetFunction(function: Out<usize>, module: usize, name: Text) {
        let name = name.read()?;
        function.put(with(|driver| driver.function(module, &name))?)
    }

    fn cuModuleGetGlobal_v2(address: Out<u64>, bytes: Out<usize>, module: usize, name: Text) {
        let name = name.read()?;
        let found = with(|driver| driver.variable(module, &name))?;
        address.put_if_wanted(found.0);
        bytes.put_if_wanted(found.1);
        Ok(())
    }

    fn cuFuncGetAttribute(value: Out<i32>, number: i32, function: usize) {
        value.put(attribute(function, number)?)
    }

    fn cuFuncSetAttribute(function: usize, number: i32, value: i32) {
        with(|driver| {
            let shared = driver.info(function)?.shared_bytes;
            if number == 8 {
                let value = usize::try_from(value).map_err(|_| Status::InvalidValue)?;
                if shared + value > msssim_ptx_emulator::MAX_SHARED {
                    return Err(Status::InvalidValue.into());
                }
                *driver.dynamic_shared(function)? = value;
            }
            Ok(())
        })
    }

    fn cuFuncSetCacheConfig(function: usize, _config: i32) {
        with(|driver| driver.info(function).map(|_| ()))
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: Out<i32>,
        function: usize,
        threads: i32,
        _shared: usize,
    ) {
        with(|driver| driver.info(function).map(|_| ()))?;
        blocks.put(2048 / threads.clamp(1, 2048))
    }

    fn cuLaunchKernel(
        function: usize,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: u32,
        stream: usize,
        pointers: Array<Buffer>,
        extra: Array<Buffer>,
    ) {
        if !extra.0.is_null() {
            return Err(not_supported("a launch with packed arguments"));
        }
        let shape = Shape {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            dynamic_shared: shared as usize,
        };
        let arguments = arguments(function, &pointers)?;
        let command = Command::Launch { function, shape, arguments };
        with(|driver| driver.submit(stream, command, &CallersMemory))
    }
}
