//! Finds the shared library that was built with this crate and loads it.

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use thiserror::Error;

/// The shared library's file.
const FILE: &str = "libmsssim_emulated_libcuda.so";

/// Why the emulator could not be loaded.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The shared library lies nowhere near the running program.
    #[error("no {FILE} in {searched:?}: make msssim-emulated-libcuda a dev-dependency")]
    NotFound {
        /// The folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// The dynamic linker refuses it.
    #[error("cannot load {path}: {reason}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// The linker's words.
        reason: String,
    },
}

/// What can be changed about the emulated device, for tests of what a program does without one. The
/// settings are the process's: give such a test an executable of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Number of devices; 1 unless set.
    Devices = 0,
    /// Compute capability times ten; 80 unless set.
    ComputeCapability = 1,
    /// Bytes of device memory; 8 GiB unless set.
    Memory = 2,
    /// The driver's CUDA version, as 1000 major + 10 minor; 12040 unless set.
    DriverVersion = 3,
    /// The newest PTX that the driver's compiler reads, times ten; unless set, what goes with its
    /// version.
    NewestPtx = 4,
    /// 1 for a library that does not go with the system's driver, so that `cuInit` fails; 0 unless set.
    Mismatch = 5,
    /// Bytes of host memory that can be pinned; no limit unless set.
    PinnedMemory = 6,
}

/// When what a program puts into streams is done: an order that a device might choose, too. Whatever it is, what
/// an event or a call of the host waits for is done before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Within the call.
    #[default]
    AtOnce = 0,
    /// Once something waits for it.
    Late = 1,
    /// Once something waits for it; but a stream that has no launches to do is never late.
    CopiesFirst = 2,
}

/// Which launches succeed and do nothing, as on a broken device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle<'k> {
    /// None.
    Never,
    /// All.
    Always,
    /// Those of one kernel.
    Kernel(&'k str),
}

/// The loaded emulator; it stays loaded until the process ends.
#[derive(Debug)]
pub struct Emulator {
    library: Library,
    path: PathBuf,
}

impl Emulator {
    /// Where the shared library was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the emulated device.
    pub fn set(&self, setting: Setting, value: i64) {
        type Configure = extern "C" fn(i32, i64);
        // SAFETY: the library is this crate's own, in which the symbol has this type.
        let configure = unsafe { self.library.get::<Configure>(b"emulatorConfigure\0") };
        if let Ok(configure) = configure {
            configure(setting as i32, value);
        }
    }

    /// Changes when things are done, from the next call on.
    pub fn order(&self, order: Order) {
        // SAFETY: the library is this crate's own, in which the symbol has this type.
        let set = unsafe { self.library.get::<extern "C" fn(i32)>(b"emulatorOrder\0") };
        if let Ok(set) = set {
            set(order as i32);
        }
    }

    /// Makes the device what it was at first, and ends the journal; what is in memory and in streams stays.
    pub fn reset(&self) {
        // SAFETY: the library is this crate's own, in which the symbol has this type.
        if let Ok(reset) = unsafe { self.library.get::<extern "C" fn()>(b"emulatorReset\0") } {
            reset();
        }
    }

    /// Begins a journal of what streams are given and do.
    pub fn watch(&self) {
        // SAFETY: the library is this crate's own, in which the symbol has this type.
        if let Ok(watch) = unsafe { self.library.get::<extern "C" fn()>(b"emulatorWatch\0") } {
            watch();
        }
    }

    /// The journal since [`Emulator::watch`], a line for each command of a stream when it is asked for, and one
    /// when it is done: `asked 2 upload 4096 pinned`, `done 1 launch axpy`. Streams are numbered in the order of their
    /// creation, from 1 on; 0 is the default one.
    pub fn watched(&self) -> Vec<String> {
        type Watched = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let mut text = Vec::new();
        // SAFETY: the library is this crate's own, in which the symbol has this type and writes no more than
        // there is room for.
        unsafe {
            if let Ok(watched) = self.library.get::<Watched>(b"emulatorWatched\0") {
                // The journal may grow between the calls.
                loop {
                    let len = watched(text.as_mut_ptr(), text.len());
                    if len <= text.len() {
                        text.truncate(len);
                        break;
                    }
                    text.resize(2 * len, 0);
                }
            }
        }
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::to_owned).collect()
    }

    /// Has launches do nothing from now on.
    pub fn idle(&self, idle: Idle<'_>) {
        let kernel = match idle {
            Idle::Never => None,
            Idle::Always => Some(""),
            Idle::Kernel(name) => Some(name),
        };
        self.tell(b"emulatorIdle\0", kernel);
    }

    /// Has the driver's compiler refuse PTX that has this kernel, or none, from now on. What is loaded stays.
    pub fn refuse(&self, kernel: Option<&str>) {
        self.tell(b"emulatorRefuse\0", kernel);
    }

    /// Calls a function with the name of a kernel or null.
    fn tell(&self, symbol: &[u8], kernel: Option<&str>) {
        type Tell = unsafe extern "C" fn(*const c_char);
        // No kernel's name has a zero in it.
        let kernel = kernel.and_then(|name| CString::new(name).ok());
        let name = kernel.as_deref().map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the library is this crate's own, in which the symbols have this type and take null or a text.
        unsafe {
            if let Ok(tell) = self.library.get::<Tell>(symbol) {
                tell(name);
            }
        }
    }
}

/// Loads the emulator under libcuda's name, once a process. Call it before cudarc's first call.
///
/// # Errors
/// [`LoadError`] if the shared library is not beside the running program or cannot be loaded.
pub fn load() -> Result<&'static Emulator, LoadError> {
    static EMULATOR: OnceLock<Result<Emulator, LoadError>> = OnceLock::new();
    EMULATOR.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Emulator, LoadError> {
    let searched = folders();
    let path = searched
        .iter()
        .map(|folder| folder.join(FILE))
        .find(|path| path.is_file());
    let Some(path) = path else {
        return Err(LoadError::NotFound { searched });
    };
    // SAFETY: loading runs the library's initialisers, and this crate has none.
    match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => Ok(Emulator { library, path }),
        Err(error) => Err(LoadError::Refused {
            path,
            reason: error.to_string(),
        }),
    }
}

/// The folders in which the library may be: the running program's, those around it (examples and
/// binaries lie one above `deps`), and that of the build (documentation tests run elsewhere).
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let executable = std::env::current_exe().ok();
    if let Some(folder) = executable.as_deref().and_then(Path::parent) {
        folders.push(folder.to_path_buf());
        folders.push(folder.join("deps"));
        folders.extend(folder.parent().map(|above| above.join("deps")));
    }
    // OUT_DIR is target/PROFILE/build/PACKAGE-HASH/out.
    if let Some(profile) = Path::new(env!("OUT_DIR")).ancestors().nth(3) {
        folders.push(profile.join("deps"));
    }
    folders
}
