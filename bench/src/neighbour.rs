//! Something else that runs on Envoy's core, and needs its caches.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use anyhow::Result;

use crate::cpu::Pinned;

/// What it walks through, in octets: more than a second-level cache has.
const MEMORY: usize = 4 << 20;
/// The octets of a line of a cache.
const LINE: usize = 64;

/// It never rests, until it is dropped.
pub(crate) struct Neighbour {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Begins on this core.
    ///
    /// # Errors
    /// When the core may not be used.
    pub(crate) fn on(core: usize) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        // A thread begins on the cores of the one that begins it.
        let _pinned = Pinned::to(core)?;
        let thread = spawn(move || {
            let mut memory = vec![0_u8; MEMORY];
            while !is_over.load(Ordering::Relaxed) {
                for octet in memory.iter_mut().step_by(LINE) {
                    *octet = octet.wrapping_add(1);
                }
                black_box(&memory);
            }
        });
        Ok(Self {
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It cannot panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
