//! The driver's state, without pointers: device, modules, streams, events, graphs.

use std::collections::HashMap;
use std::time::Instant;

use msssim_ptx_emulator::{Argument, Device, Fault, LaunchError, LoadedModule, Module, Shape};

use crate::status::{Failure, Outcome, Status};

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
}

/// Something that a stream does. Host memory is an address, read or written when it is done.
#[derive(Clone)]
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
    Record(usize),
    /// A function of the host and its argument.
    Call(usize, usize),
    Free(u64),
}

/// What reaches the host's memory on behalf of a [`Command`].
pub(crate) trait Host {
    fn read(&self, from: usize, into: &mut [u8]);
    fn write(&self, to: usize, bytes: &[u8]);
    fn call(&self, function: usize, argument: usize);
}

/// A stream that is being captured: into which graph, and whether something forbidden happened.
#[derive(Clone, Copy)]
struct Capture {
    /// The stream that the capture began with.
    origin: usize,
}

#[derive(Default)]
struct Recording {
    commands: Vec<Command>,
    invalid: bool,
}

#[derive(Default)]
struct Event {
    at: Option<Instant>,
    /// The capture in which it was recorded last.
    capture: Option<usize>,
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
    streams: HashMap<usize, Option<Capture>>,
    recordings: HashMap<usize, Recording>,
    events: HashMap<usize, Event>,
    graphs: HashMap<usize, Vec<Command>>,
    next: usize,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            settings: Settings {
                devices: 1,
                compute_capability: 80,
                memory: 8 << 30,
                driver_version: 12040,
                newest_ptx: None,
                mismatch: false,
                idle: None,
            },
            initialised: false,
            device: Device::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            // The legacy default stream, and those of cuda.h's names: CU_STREAM_LEGACY, PER_THREAD.
            streams: HashMap::from([(0, None), (1, None), (2, None)]),
            recordings: HashMap::new(),
            events: HashMap::new(),
            graphs: HashMap::new(),
            next: 0x1000,
        }
    }
}

impl Driver {
    fn handle(&mut self) -> usize {
        self.next += 16;
        self.next
    }

    pub(crate) fn allocate(&mut self, bytes: usize) -> Outcome<u64> {
        if bytes == 0 {
            return Err(Status::InvalidValue.into());
        }
        let free = self.settings.memory.saturating_sub(self.device.allocated());
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
        let handle = self.handle();
        let module = self.device.load(module);
        self.modules.insert(handle, module);
        Ok(handle)
    }

    pub(crate) fn unload(&mut self, module: usize) -> Outcome {
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

    pub(crate) fn create_stream(&mut self) -> usize {
        let handle = self.handle();
        self.streams.insert(handle, None);
        handle
    }

    pub(crate) fn destroy_stream(&mut self, stream: usize) -> Outcome {
        self.streams.remove(&stream).ok_or(Status::InvalidHandle)?;
        self.recordings.remove(&stream);
        Ok(())
    }

    pub(crate) fn create_event(&mut self) -> usize {
        let handle = self.handle();
        self.events.insert(handle, Event::default());
        handle
    }

    pub(crate) fn destroy_event(&mut self, event: usize) -> Outcome {
        self.events.remove(&event).ok_or(Status::InvalidHandle)?;
        Ok(())
    }

    /// Milliseconds between two events.
    pub(crate) fn elapsed(&self, start: usize, end: usize) -> Outcome<f32> {
        let at = |event| -> Outcome<Instant> {
            let event = self.events.get(&event).ok_or(Status::InvalidHandle)?;
            event
                .at
                .ok_or_else(|| Failure::new(Status::InvalidHandle, "the event was not recorded"))
        };
        let (start, end) = (at(start)?, at(end)?);
        // Events of one stream are ordered; between streams the later may be given first.
        Ok(if end >= start {
            (end - start).as_secs_f32() * 1e3
        } else {
            -(start - end).as_secs_f32() * 1e3
        })
    }

    pub(crate) fn check_event(&self, event: usize) -> Outcome {
        match self.events.get(&event) {
            Some(_) => Ok(()),
            None => Err(Status::InvalidHandle.into()),
        }
    }

    fn capture(&self, stream: usize) -> Outcome<Option<Capture>> {
        Ok(*self.streams.get(&stream).ok_or(Status::InvalidHandle)?)
    }

    pub(crate) fn is_capturing(&self, stream: usize) -> Outcome<bool> {
        Ok(self.capture(stream)?.is_some())
    }

    pub(crate) fn begin_capture(&mut self, stream: usize) -> Outcome {
        if stream <= 1 {
            let text = "the default stream cannot be captured";
            return Err(Failure::new(Status::CaptureUnsupported, text));
        }
        if self.capture(stream)?.is_some() {
            return Err(Failure::new(
                Status::IllegalState,
                "the stream is being captured already",
            ));
        }
        self.streams
            .insert(stream, Some(Capture { origin: stream }));
        self.recordings.insert(stream, Recording::default());
        Ok(())
    }

    /// The graph of what the stream, and streams that waited for it, were given since.
    pub(crate) fn end_capture(&mut self, stream: usize) -> Outcome<usize> {
        self.capture(stream)?;
        let recording = self.recordings.remove(&stream);
        let recording = recording.ok_or_else(|| {
            Failure::new(Status::IllegalState, "no capture began with this stream")
        })?;
        for capture in self.streams.values_mut() {
            if capture.is_some_and(|capture| capture.origin == stream) {
                *capture = None;
            }
        }
        if recording.invalid {
            let text = "something that cannot be captured happened during the capture";
            return Err(Failure::new(Status::CaptureInvalidated, text));
        }
        let handle = self.handle();
        self.graphs.insert(handle, recording.commands);
        Ok(handle)
    }

    /// An executable graph is a copy: the graph may be destroyed.
    pub(crate) fn instantiate(&mut self, graph: usize) -> Outcome<usize> {
        let commands = self
            .graphs
            .get(&graph)
            .ok_or(Status::InvalidHandle)?
            .clone();
        let handle = self.handle();
        self.graphs.insert(handle, commands);
        Ok(handle)
    }

    pub(crate) fn destroy_graph(&mut self, graph: usize) -> Outcome {
        self.graphs.remove(&graph).ok_or(Status::InvalidHandle)?;
        Ok(())
    }

    pub(crate) fn launch_graph(&mut self, graph: usize, stream: usize, host: &dyn Host) -> Outcome {
        let commands = self
            .graphs
            .get(&graph)
            .ok_or(Status::InvalidHandle)?
            .clone();
        for command in commands {
            self.submit(stream, command, host)?;
        }
        Ok(())
    }

    /// Synchronisation is not allowed for a stream that is being captured, and spoils the capture.
    pub(crate) fn synchronise(&mut self, stream: Option<usize>) -> Outcome {
        let captures: Vec<usize> = match stream {
            Some(stream) => self
                .capture(stream)?
                .map(|c| c.origin)
                .into_iter()
                .collect(),
            None => self.recordings.keys().copied().collect(),
        };
        for origin in &captures {
            if let Some(recording) = self.recordings.get_mut(origin) {
                recording.invalid = true;
            }
        }
        if captures.is_empty() {
            return Ok(());
        }
        let text = "synchronisation while a stream is being captured";
        Err(Failure::new(Status::CaptureUnsupported, text))
    }

    /// A stream that waits for an event of a capture takes part in the capture from then on.
    pub(crate) fn wait(&mut self, stream: usize, event: usize) -> Outcome {
        let own = self.capture(stream)?;
        let event = self.events.get(&event).ok_or(Status::InvalidHandle)?;
        let Some(origin) = event
            .capture
            .filter(|origin| self.recordings.contains_key(origin))
        else {
            return Ok(());
        };
        match own {
            Some(capture) if capture.origin != origin => {
                let text = "the stream waits for an event of another capture";
                Err(Failure::new(Status::CaptureUnsupported, text))
            }
            _ => {
                self.streams.insert(stream, Some(Capture { origin }));
                Ok(())
            }
        }
    }

    /// Does a command, or records it if its stream is being captured.
    pub(crate) fn submit(&mut self, stream: usize, command: Command, host: &dyn Host) -> Outcome {
        if let Some(Capture { origin }) = self.capture(stream)? {
            if let Command::Record(event) = command {
                let event = self.events.get_mut(&event).ok_or(Status::InvalidHandle)?;
                event.capture = Some(origin);
            }
            if let Some(recording) = self.recordings.get_mut(&origin) {
                recording.commands.push(command);
            }
            return Ok(());
        }
        self.execute(command, host)
    }

    fn execute(&mut self, command: Command, host: &dyn Host) -> Outcome {
        match command {
            Command::Launch { function, .. } if self.is_idle(function) => {}
            Command::Launch {
                function,
                shape,
                arguments,
            } => self.launch(function, shape, &arguments)?,
            Command::Upload { to, from, bytes } => host.read(from, self.memory(to, bytes)?),
            Command::Download { to, from, bytes } => host.write(to, self.memory(from, bytes)?),
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
            Command::Record(event) => {
                let event = self.events.get_mut(&event).ok_or(Status::InvalidHandle)?;
                *event = Event {
                    at: Some(Instant::now()),
                    capture: None,
                };
            }
            Command::Call(function, argument) => host.call(function, argument),
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
