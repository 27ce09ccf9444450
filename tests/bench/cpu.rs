//! The processor time of this thread, and of the processes that were waited for.
//!
//! Time on the wall tells how busy the machine was; processor time tells what the work cost. Both are reported, and rates and
//! ratios go by the second.

use anyhow::{Result, bail};
use std::{mem::MaybeUninit, time::Duration};

/// The contenders of this process run on one thread, and so does the component. Where the system keeps no accounts of threads,
/// those of the process come close: nothing else works in it meanwhile.
#[cfg(target_os = "linux")]
const THREAD: libc::c_int = libc::RUSAGE_THREAD;
#[cfg(not(target_os = "linux"))]
const THREAD: libc::c_int = libc::RUSAGE_SELF;

/// Processor time, in the program and in the system for it.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub user: Duration,
    pub system: Duration,
}

impl Cpu {
    /// Of this thread so far.
    pub fn of_thread() -> Result<Self> {
        usage(THREAD)
    }

    /// Of all processes that this one started and waited for.
    pub fn of_children() -> Result<Self> {
        usage(libc::RUSAGE_CHILDREN)
    }

    /// Both, in seconds.
    pub fn seconds(&self) -> f64 {
        (self.user + self.system).as_secs_f64()
    }
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

#[expect(unsafe_code, reason = "the standard library does not tell processor time")]
fn usage(of: libc::c_int) -> Result<Cpu> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `getrusage` writes one `rusage` to the address it is given, and all zeros are one as well.
    let usage = unsafe {
        if libc::getrusage(of, usage.as_mut_ptr()) != 0 {
            bail!("getrusage: {}", std::io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        Duration::from_secs_f64(time.tv_sec.max(0) as f64 + time.tv_usec.max(0) as f64 / 1e6)
    };
    Ok(Cpu { user: time(usage.ru_utime), system: time(usage.ru_stime) })
}
