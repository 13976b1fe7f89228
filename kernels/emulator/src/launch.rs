//! The device: memory, modules in it, and launches with everything about them checked first.

use crate::decode::{Image, ModuleSymbols, decode};
use crate::error::{LaunchError, ParseError, Problem};
use crate::execute::{Counters, Launch, run};
use crate::memory::DeviceMemory;
use crate::program::{Kernel, Variable};
use crate::syntax::parse;

/// Threads that a block may have.
pub const MAX_THREADS: u32 = 1024;
/// Shared memory that a block may have, static and dynamic together: compute capability 9.0's.
pub const MAX_SHARED: usize = 227 * 1024;
/// Instructions that may branch, of all warps of one block, before a launch counts as hung.
pub const DEFAULT_LIMIT: u64 = 1 << 26;

/// A PTX file, parsed and ready to run.
pub struct Module {
    version: String,
    target: String,
    kernels: Vec<Kernel>,
    image: Image,
}

/// What a launch of a kernel has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInfo {
    /// Offset and size of each parameter in bytes.
    pub parameters: Vec<(usize, usize)>,
    /// The most threads of a block.
    pub max_threads: u32,
    /// Bytes of static shared memory.
    pub shared_bytes: usize,
    /// Bytes of a thread's local memory.
    pub local_bytes: usize,
}

impl Module {
    /// Parses PTX text.
    ///
    /// # Errors
    /// [`ParseError`] with the line, for text that is not PTX or holds what is not supported.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut source = parse(text)?;
        let (symbols, image) = ModuleSymbols::new(&mut source)?;
        let mut kernels: Vec<Kernel> = Vec::new();
        for function in source.functions.iter().filter(|f| f.is_kernel) {
            if function.body.is_none() {
                continue;
            }
            if kernels.iter().any(|kernel| kernel.name == function.name) {
                return Err(Problem::Redeclared(function.name.into()).at(function.line));
            }
            kernels.push(decode(&source, &symbols, function)?);
        }
        Ok(Self {
            version: source.version,
            target: source.target.to_owned(),
            kernels,
            image,
        })
    }

    /// The PTX version that the text states, such as `7.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The architecture that the text states, such as `sm_80`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The kernels' names, in the text's order.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.iter().map(|kernel| kernel.name.as_str())
    }

    /// The variables in constant and global memory.
    pub fn variables(&self) -> &[Variable] {
        &self.image.variables
    }

    /// What a launch of `kernel` has to fit, if there is such a kernel.
    pub fn kernel(&self, kernel: &str) -> Option<KernelInfo> {
        let kernel = self.find(kernel)?;
        Some(KernelInfo {
            parameters: kernel.parameters.clone(),
            max_threads: kernel.thread_limit(),
            shared_bytes: kernel.shared,
            local_bytes: kernel.local,
        })
    }

    fn find(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }
}

impl Kernel {
    fn thread_limit(&self) -> u32 {
        let product = |threads: [u32; 3]| threads.iter().fold(1u32, |n, &t| n.saturating_mul(t));
        let limit = self.required_threads.or(self.max_threads);
        limit.map_or(MAX_THREADS, product).min(MAX_THREADS)
    }

    /// Whether a block of this shape may be launched.
    fn allows(&self, block: [u32; 3]) -> bool {
        let threads = block.iter().try_fold(1u32, |n, &t| n.checked_mul(t));
        let within = threads.is_some_and(|n| n > 0 && n <= self.thread_limit());
        within
            && block[2] <= 64
            && self
                .required_threads
                .is_none_or(|required| required == block)
    }
}

/// A module in a device's memory.
pub struct LoadedModule {
    module: Module,
    base: u64,
}

impl LoadedModule {
    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Address and size of a variable in constant or global memory.
    pub fn variable(&self, name: &str) -> Option<(u64, usize)> {
        let variable = self.module.variables().iter().find(|v| v.name == name)?;
        Some((self.base + variable.offset, variable.bytes as usize))
    }
}

/// One argument of a launch, as the bytes that the kernel will see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(pub Vec<u8>);

macro_rules! arguments {
    ($($t:ty),*) => {$(
        impl From<$t> for Argument {
            fn from(value: $t) -> Self {
                Self(value.to_le_bytes().to_vec())
            }
        }
    )*};
}

arguments!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// The shape of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks, `x, y, z`.
    pub grid: [u32; 3],
    /// Threads of a block, `x, y, z`.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: usize,
}

impl Shape {
    /// A grid of blocks without dynamic shared memory.
    pub fn new(grid: [u32; 3], block: [u32; 3]) -> Self {
        Self {
            grid,
            block,
            dynamic_shared: 0,
        }
    }
}

/// A device: its memory, and the launches on it.
pub struct Device {
    memory: DeviceMemory,
    launches: u32,
    /// Branches that a block may execute before its launch counts as hung.
    pub limit: u64,
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

impl Device {
    /// A device with empty memory.
    pub fn new() -> Self {
        Self {
            memory: DeviceMemory::default(),
            launches: 0,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Puts a module's variables into memory.
    pub fn load(&mut self, module: Module) -> LoadedModule {
        let image = &module.image;
        let parts = image.variables.iter().map(|v| {
            let data = &image.bytes[v.offset as usize..][..v.bytes as usize];
            (v.offset, data, v.constant)
        });
        let base = self.memory.allocate_parts(image.bytes.len(), parts);
        LoadedModule { module, base }
    }

    /// Removes a module's variables.
    pub fn unload(&mut self, module: &LoadedModule) {
        for variable in module.module.variables() {
            self.memory.free(module.base + variable.offset);
        }
    }

    /// Allocates `bytes` bytes, filled with ones, and returns their address. Addresses are never
    /// used twice.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        self.memory.allocate(bytes)
    }

    /// Allocates memory that holds `bytes`.
    pub fn upload(&mut self, bytes: &[u8]) -> u64 {
        let address = self.memory.allocate(bytes.len());
        if let Some(memory) = self.memory.slice_mut(address, bytes.len()) {
            memory.copy_from_slice(bytes);
        }
        address
    }

    /// Frees what [`Device::allocate`] returned; false if `address` is not such an address.
    pub fn free(&mut self, address: u64) -> bool {
        self.memory.free(address)
    }

    /// `bytes` bytes at `address`, if they lie in one allocation.
    pub fn read(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        self.memory.slice(address, bytes)
    }

    /// The same to be written, constant memory included.
    pub fn write(&mut self, address: u64, bytes: usize) -> Option<&mut [u8]> {
        self.memory.slice_mut(address, bytes)
    }

    /// Address and size of the allocation at or below `address`; zeros if there is none.
    pub fn allocation_below(&self, address: u64) -> (u64, u64) {
        self.memory.bounds(address)
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> u64 {
        self.memory.allocated
    }

    /// Runs a kernel to its end.
    ///
    /// # Errors
    /// [`LaunchError`]: a launch that does not fit the kernel, or the first thing that the kernel
    /// did wrong. Memory then holds what was written up to there.
    pub fn launch(
        &mut self,
        module: &LoadedModule,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<Counters, LaunchError> {
        let Some(kernel) = module.module.find(kernel) else {
            return Err(LaunchError::UnknownKernel(kernel.to_owned()));
        };
        let name = || kernel.name.clone();
        if !kernel.allows(shape.block) {
            let limit = kernel.required_threads.or(kernel.max_threads);
            return Err(LaunchError::BlockSize {
                kernel: name(),
                block: shape.block,
                limit: limit.unwrap_or([MAX_THREADS, 1, 1]),
            });
        }
        let [x, y, z] = shape.grid;
        let blocks = u64::from(x) * u64::from(y).min(65535) * u64::from(z).min(65535);
        if x == 0 || y == 0 || z == 0 || y > 65535 || z > 65535 || blocks >= 1 << 31 {
            return Err(LaunchError::GridSize {
                kernel: name(),
                grid: shape.grid,
            });
        }
        let shared = kernel.shared.saturating_add(shape.dynamic_shared);
        if shared > MAX_SHARED {
            return Err(LaunchError::SharedSize {
                kernel: name(),
                bytes: shared,
                limit: MAX_SHARED,
            });
        }
        let parameters = pack(kernel, arguments)?;
        self.launches += 1;
        let launch = Launch {
            kernel,
            grid: shape.grid,
            block: shape.block,
            dynamic_shared: shape.dynamic_shared,
            parameters: &parameters,
            variables: module.base,
            number: self.launches,
            limit: self.limit,
        };
        run(&launch, &mut self.memory).map_err(LaunchError::Finding)
    }
}

/// Lays the arguments out as the kernel's parameters.
fn pack(kernel: &Kernel, arguments: &[Argument]) -> Result<Vec<u8>, LaunchError> {
    if arguments.len() != kernel.parameters.len() {
        return Err(LaunchError::ArgumentCount {
            kernel: kernel.name.clone(),
            expected: kernel.parameters.len(),
            given: arguments.len(),
        });
    }
    let end = kernel.parameters.last().map_or(0, |(at, bytes)| at + bytes);
    let mut packed = vec![0; end];
    let pairs = arguments.iter().zip(&kernel.parameters);
    for (index, (Argument(argument), &(at, bytes))) in pairs.enumerate() {
        if argument.len() != bytes {
            return Err(LaunchError::ArgumentSize {
                kernel: kernel.name.clone(),
                index,
                expected: bytes,
                given: argument.len(),
            });
        }
        packed[at..at + bytes].copy_from_slice(argument);
    }
    Ok(packed)
}
