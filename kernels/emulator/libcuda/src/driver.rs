//! The driver's state, without pointers: device, modules, launches, and what streams do.

mod queue;
mod streams;

use std::collections::HashMap;
use std::time::Instant;

use msssim_ptx_emulator::{Argument, Device, Fault, LaunchError, LoadedModule, Module, Shape};

use crate::status::{Failure, Outcome, Status};
pub(crate) use queue::Order;
use streams::{Event, Recording, Stream};

/// Static and dynamic shared memory that a kernel has without asking for more.
const DEFAULT_SHARED: usize = 48 * 1024;

/// The device as it presents itself.
pub(crate) struct Settings {
    pub(crate) devices: i32,
    pub(crate) compute_capability: i32,
    pub(crate) memory: u64,
    pub(crate) driver_version: i32,
    /// The newest PTX that is read, times ten; unless set, what goes with the driver's version.
    pub(crate) newest_ptx: Option<i32>,
    /// Whether the library does not go with the system's driver.
    pub(crate) mismatch: bool,
    /// The kernel whose launches succeed and do nothing; empty for all.
    pub(crate) idle: Option<String>,
    /// The kernel whose PTX is refused.
    pub(crate) refused: Option<String>,
    /// Bytes that the host can pin.
    pub(crate) pinned: u64,
    pub(crate) order: Order,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            devices: 1,
            compute_capability: 80,
            memory: 8 << 30,
            driver_version: 12040,
            newest_ptx: None,
            mismatch: false,
            idle: None,
            refused: None,
            pinned: u64::MAX,
            order: Order::AtOnce,
        }
    }
}

/// Something that a stream does. Host memory is an address, read or written when it is done.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Launch {
        function: usize,
        shape: Shape,
        arguments: Vec<Argument>,
    },
    /// `to` on the device, `from` on the host.
    Upload {
        to: u64,
        from: usize,
        bytes: usize,
        /// Of pinned memory when the call was made, what it held.
        held: Option<queue::Held>,
    },
    /// What was in memory that the driver has to copy before the call returns.
    Staged {
        to: u64,
        data: Vec<u8>,
    },
    /// `to` on the host, `from` on the device.
    Download {
        to: usize,
        from: u64,
        bytes: usize,
    },
    Copy {
        to: u64,
        from: u64,
        bytes: usize,
    },
    /// `unit` again and again.
    Fill {
        to: u64,
        unit: Vec<u8>,
        count: usize,
    },
    Record {
        event: usize,
        /// Of this call of many with the event.
        ticket: u64,
    },
    /// For a record with this ticket.
    Wait(u64),
    /// A function of the host and its argument.
    Call(usize, usize),
    Free(u64),
}

/// What reaches the host's memory on behalf of a [`Command`].
pub(crate) trait Host {
    fn read(&self, from: usize, into: &mut [u8]);
    fn write(&self, to: usize, bytes: &[u8]);
    fn call(&self, function: usize, argument: usize);
    /// Whether all of it is pinned memory.
    fn is_pinned(&self, address: usize, bytes: usize) -> bool;
}

struct Function {
    module: usize,
    name: String,
    dynamic_shared: usize,
}

/// All of it.
pub(crate) struct Driver {
    pub(crate) settings: Settings,
    pub(crate) initialised: bool,
    pub(crate) device: Device,
    modules: HashMap<usize, LoadedModule>,
    functions: HashMap<usize, Function>,
    streams: HashMap<usize, Stream>,
    recordings: HashMap<usize, Recording>,
    events: HashMap<usize, Event>,
    graphs: HashMap<usize, Vec<Command>>,
    next: usize,
    created: usize,
    tickets: u64,
    /// How often work of streams has written host memory.
    host_writes: u64,
    /// What was asked and done, if someone wants to know.
    pub(crate) journal: Option<Vec<String>>,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            initialised: false,
            device: Device::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            // The legacy default stream, and those of cuda.h's names: CU_STREAM_LEGACY, PER_THREAD.
            streams: [0, 1, 2].map(|handle| (handle, Stream::default())).into(),
            recordings: HashMap::new(),
            events: HashMap::new(),
            graphs: HashMap::new(),
            next: 0x1000,
            created: 0,
            tickets: 0,
            host_writes: 0,
            journal: None,
        }
    }
}

impl Driver {
    fn handle(&mut self) -> usize {
        self.next += 16;
        self.next
    }

    pub(crate) fn allocate(&mut self, bytes: usize, host: &dyn Host) -> Outcome<u64> {
        if bytes == 0 {
            return Err(Status::InvalidValue.into());
        }
        let free = |driver: &Self| {
            let used = driver.device.allocated();
            driver.settings.memory.saturating_sub(used)
        };
        if bytes as u64 > free(self) {
            // Memory that is to be freed in a stream becomes free.
            self.finish_all(host)?;
        }
        let free = free(self);
        if bytes as u64 > free {
            let text = format!("{bytes} bytes asked for, {free} free");
            return Err(Failure::new(Status::OutOfMemory, text));
        }
        Ok(self.device.allocate(bytes))
    }

    pub(crate) fn free(&mut self, address: u64) -> Outcome {
        if address == 0 || self.device.free(address) {
            return Ok(());
        }
        let text = format!("{address:#x} was not allocated, or is freed already");
        Err(Failure::new(Status::InvalidValue, text))
    }

    /// Parses PTX text and checks that this device could run it.
    pub(crate) fn load(&mut self, text: &str) -> Outcome<usize> {
        let module = Module::parse(text)
            .map_err(|error| Failure::new(Status::InvalidPtx, error.to_string()))?;
        // CUDA 12.x reads PTX 8.x, 11.x reads 7.x.
        let version = self.settings.driver_version;
        let own = f64::from(version / 1000 - 4) + f64::from(version % 1000) / 100.0;
        let newest = self
            .settings
            .newest_ptx
            .map_or(own, |tenths| f64::from(tenths) / 10.0);
        if module.version().parse::<f64>().unwrap_or(0.0) > newest + 1e-9 {
            let text = format!("PTX {} is newer than {newest:.1}", module.version());
            return Err(Failure::new(Status::UnsupportedPtxVersion, text));
        }
        let target = module.target().trim_start_matches("sm_");
        let digits = target.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.parse::<i32>().unwrap_or(0) > self.settings.compute_capability {
            let text = format!(
                "PTX for {} on a device of capability {}",
                module.target(),
                self.settings.compute_capability
            );
            return Err(Failure::new(Status::NoBinaryForGpu, text));
        }
        if let Some(kernel) = &self.settings.refused
            && module.kernel(kernel).is_some()
        {
            let text = format!("{kernel} is refused, as the emulator was told");
            return Err(Failure::new(Status::InvalidPtx, text));
        }
        let handle = self.handle();
        let module = self.device.load(module);
        self.modules.insert(handle, module);
        Ok(handle)
    }

    pub(crate) fn unload(&mut self, module: usize, host: &dyn Host) -> Outcome {
        self.finish_all(host)?;
        let loaded = self.modules.remove(&module).ok_or(Status::InvalidHandle)?;
        self.device.unload(&loaded);
        self.functions
            .retain(|_, function| function.module != module);
        Ok(())
    }

    pub(crate) fn function(&mut self, module: usize, name: &str) -> Outcome<usize> {
        let loaded = self.modules.get(&module).ok_or(Status::InvalidHandle)?;
        if loaded.module().kernel(name).is_none() {
            return Err(Failure::new(Status::NotFound, format!("no kernel {name}")));
        }
        let handle = self.handle();
        let function = Function {
            module,
            name: name.to_owned(),
            dynamic_shared: 0,
        };
        self.functions.insert(handle, function);
        Ok(handle)
    }

    pub(crate) fn variable(&self, module: usize, name: &str) -> Outcome<(u64, usize)> {
        let loaded = self.modules.get(&module).ok_or(Status::InvalidHandle)?;
        let found = loaded.variable(name);
        found.ok_or_else(|| Failure::new(Status::NotFound, format!("no variable {name}")))
    }

    /// Offset and size of each parameter of a function, and its other figures.
    pub(crate) fn info(&self, function: usize) -> Outcome<msssim_ptx_emulator::KernelInfo> {
        let found = self.functions.get(&function).ok_or(Status::InvalidHandle)?;
        let module = self
            .modules
            .get(&found.module)
            .ok_or(Status::InvalidHandle)?;
        module
            .module()
            .kernel(&found.name)
            .ok_or_else(|| Status::NotFound.into())
    }

    pub(crate) fn dynamic_shared(&mut self, function: usize) -> Outcome<&mut usize> {
        let found = self
            .functions
            .get_mut(&function)
            .ok_or(Status::InvalidHandle)?;
        Ok(&mut found.dynamic_shared)
    }

    fn execute(&mut self, command: Command, host: &dyn Host) -> Outcome {
        match command {
            Command::Launch { function, .. } if self.is_idle(function) => {}
            Command::Launch {
                function,
                shape,
                arguments,
            } => self.launch(function, shape, &arguments)?,
            Command::Upload {
                to,
                from,
                bytes,
                held,
            } => {
                let writes = self.host_writes;
                let there = self.memory(to, bytes)?;
                host.read(from, there);
                if let Some(held) = held {
                    held.check(there, writes)?;
                }
            }
            Command::Staged { to, data } => self.memory(to, data.len())?.copy_from_slice(&data),
            Command::Download { to, from, bytes } => {
                host.write(to, self.memory(from, bytes)?);
                self.host_writes += 1;
            }
            Command::Copy { to, from, bytes } => {
                let data = self.memory(from, bytes)?.to_vec();
                self.memory(to, bytes)?.copy_from_slice(&data);
            }
            Command::Fill { to, unit, count } => {
                let bytes = unit.len().checked_mul(count).ok_or(Status::InvalidValue)?;
                for chunk in self.memory(to, bytes)?.chunks_exact_mut(unit.len()) {
                    chunk.copy_from_slice(&unit);
                }
            }
            Command::Record { event, ticket } => {
                // It may have been destroyed, or recorded anew.
                if let Some(event) = self.events.get_mut(&event)
                    && event.ticket == ticket
                {
                    event.at = Some(Instant::now());
                }
            }
            Command::Wait(_) => {}
            Command::Call(function, argument) => {
                host.call(function, argument);
                self.host_writes += 1;
            }
            Command::Free(address) => self.free(address)?,
        }
        Ok(())
    }

    fn is_idle(&self, function: usize) -> bool {
        let function = self.functions.get(&function);
        match (&self.settings.idle, function) {
            (Some(idle), Some(function)) => idle.is_empty() || *idle == function.name,
            _ => false,
        }
    }

    /// Device memory that a copy or a fill touches: all of it in one allocation.
    fn memory(&mut self, address: u64, bytes: usize) -> Outcome<&mut [u8]> {
        if bytes == 0 {
            return Ok(&mut []);
        }
        let (base, size) = self.device.allocation_below(address);
        self.device.write(address, bytes).ok_or_else(|| {
            let text = format!(
                "{bytes} bytes at {address:#x} are not within an allocation; that below has {size} \
                 bytes at {base:#x}"
            );
            Failure::new(Status::InvalidValue, text)
        })
    }

    fn launch(&mut self, function: usize, shape: Shape, arguments: &[Argument]) -> Outcome {
        let info = self.info(function)?;
        let found = self.functions.get(&function).ok_or(Status::InvalidHandle)?;
        let granted = DEFAULT_SHARED
            .saturating_sub(info.shared_bytes)
            .max(found.dynamic_shared);
        if shape.dynamic_shared > granted {
            let text = format!(
                "{} asks for {} bytes of dynamic shared memory; \
                 CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES grants {granted}",
                found.name, shape.dynamic_shared
            );
            return Err(Failure::new(Status::InvalidValue, text));
        }
        let module = self
            .modules
            .get(&found.module)
            .ok_or(Status::InvalidHandle)?;
        let outcome = self.device.launch(module, &found.name, shape, arguments);
        outcome.map(|_| ()).map_err(|error| {
            let status = match &error {
                LaunchError::Finding(finding) => match finding.fault {
                    Fault::OutOfBounds { .. } | Fault::ReadOnly { .. } => Status::IllegalAddress,
                    Fault::Misaligned { .. } => Status::MisalignedAddress,
                    _ => Status::LaunchFailed,
                },
                LaunchError::SharedSize { .. } => Status::LaunchOutOfResources,
                _ => Status::InvalidValue,
            };
            Failure::new(status, error.to_string())
        })
    }
}
