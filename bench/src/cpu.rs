//! Processor time and memory of a process, and which core runs it, as Linux tells in /proc.
//!
//! Invariant: time counts per thread, so a thread that ended between two looks takes its time with
//! it and is not counted; Envoy's workers do not end.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// The processor time of each thread of a process, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Times(BTreeMap<i32, u64>);

impl Times {
    /// Until now.
    ///
    /// # Errors
    /// When the process is gone, or /proc is not Linux's.
    pub(crate) fn of_process(process: u32) -> Result<Self> {
        let mut times = BTreeMap::new();
        for thread in threads(process)? {
            let of = |file| format!("/proc/{process}/task/{thread}/{file}");
            let time = match fs::read_to_string(of("schedstat")) {
                Ok(text) => parse_schedstat(&text),
                // A kernel without scheduler statistics: ticks, of 10 ms mostly.
                Err(_) => fs::read_to_string(of("stat"))
                    .ok()
                    .and_then(|text| parse_stat(&text, ticks_per_second())),
            };
            // A thread may end between the two reads.
            if let Some(time) = time {
                times.insert(thread, time);
            }
        }
        if times.is_empty() {
            bail!("process {process} has no threads whose time can be read");
        }
        Ok(Self(times))
    }

    /// The nanoseconds that passed in all threads since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let passed = self.0.iter().map(|(thread, now)| {
            let before = earlier.0.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        passed.sum()
    }
}

/// The first number of schedstat is the time spent on a processor, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// utime and stime, the 14th and 15th field of stat. The second is a name in parentheses that may
/// hold anything.
fn parse_stat(text: &str, ticks_per_second: u64) -> Option<u64> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let tick = 1_000_000_000_u64.checked_div(ticks_per_second)?;
    user.checked_add(system)?.checked_mul(tick)
}

fn ticks_per_second() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    ticks
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100)
}

fn threads(process: u32) -> Result<Vec<i32>> {
    let directory = format!("/proc/{process}/task");
    let mut threads = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.clone())? {
        if let Some(thread) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) {
            threads.push(thread);
        }
    }
    Ok(threads)
}

/// The memory of a process that is in RAM, in bytes.
///
/// # Errors
/// When the process is gone.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    parse_resident(&text).with_context(|| format!("no VmRSS in {path}"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Which core runs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    pub envoy: usize,
    pub load: usize,
}

impl Cores {
    /// The first and the last core that this process may use.
    ///
    /// # Errors
    /// When there is only one: the load would then be measured too.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true));
        match (cores.next(), cores.next_back()) {
            (Some(load), Some(envoy)) => Ok(Self { envoy, load }),
            _ => bail!("two cores are needed: one for Envoy, one for the load"),
        }
    }
}

/// The calling thread is bound to a core until this is dropped, and so is what it starts.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Binds the calling thread.
    ///
    /// # Errors
    /// When the core may not be used.
    pub(crate) fn to(core: usize) -> Result<Self> {
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread)?;
        let mut set = CpuSet::new();
        set.set(core)?;
        sched_setaffinity(this_thread, &set).with_context(|| format!("core {core}"))?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(Pid::from_raw(0), &self.before) {
            eprintln!("this thread stays on its core: {error}");
        }
    }
}

/// The processor's name, for the report.
pub(crate) fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    parse_model(&text).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn parse_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The kernel's release, for the report.
pub(crate) fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_begins_with_nanoseconds() {
        assert_eq!(parse_schedstat("32248 17 1\n"), Some(32248));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn stat_is_read_after_a_name_that_may_hold_anything() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0";
        for name in ["wrk:worker_0", "a) 1 2 3", "(("] {
            let text = format!("42 ({name}) {rest}");
            assert_eq!(parse_stat(&text, 100), Some(3_000_000_000), "{name}");
        }
        assert_eq!(parse_stat("42 (short) S 1", 100), None);
        assert_eq!(parse_stat(&format!("42 (x) {rest}"), 0), None);
    }

    #[test]
    fn resident_memory_is_in_kibibytes() {
        let status = "Name:\tenvoy\nVmPeak:\t  9999 kB\nVmRSS:\t   2048 kB\n";
        assert_eq!(parse_resident(status), Some(2 * 1024 * 1024));
        assert_eq!(parse_resident("VmRSS: many"), None);
    }

    #[test]
    fn a_new_thread_counts_from_its_start_and_an_ended_one_does_not() {
        let earlier = Times(BTreeMap::from([(1, 100), (2, 500)]));
        let later = Times(BTreeMap::from([(1, 150), (3, 30)]));
        assert_eq!(later.since(&earlier), 80);
    }

    #[test]
    fn the_time_of_this_process_grows() {
        let before = Times::of_process(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while Times::of_process(std::process::id())
            .unwrap()
            .since(&before)
            < 20_000_000
        {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }

    #[test]
    fn the_model_is_what_cpuinfo_says_first() {
        let text = "processor\t: 0\nmodel name\t: Fast 1\n\nmodel name\t: Fast 2\n";
        assert_eq!(parse_model(text).as_deref(), Some("Fast 1"));
        assert_eq!(parse_model("processor: 0"), None);
    }
}
