//! The peak memory of a process.

use fanfold::model::error::{Error, Result};

/// The peak memory of this process since it started, in KiB, as Linux counts it. It does not use `ru_maxrss`,
/// which is inherited from the parent process.
///
/// # Errors
/// `Config` on a system that does not report it.
pub fn peak_kib() -> Result<u64> {
    let unknown = || Error::config("this system does not tell the peak memory of a process; Linux does");
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| unknown().because(e))?;
    high_water_mark(&status).ok_or_else(unknown)
}

/// `VmHWM` in the status of a process: <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
pub fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_among_the_rest() {
        let status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   12345 kB\nVmRSS:\t    12 kB\n";
        assert_eq!(high_water_mark(status), Some(12_345));
        for other in ["", "VmHWM:\n", "VmHWM: many kB", "VmRSS: 1 kB"] {
            assert_eq!(high_water_mark(other), None);
        }
    }

    #[test]
    fn what_is_used_is_counted() {
        let before = peak_kib().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(peak_kib().unwrap() > before.min(48 << 10) && block.len() == 64 << 20);
    }
}
