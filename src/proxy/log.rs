//! What the filter writes into the proxy's log.
//!
//! Invariant: what requests can repeat at will does not fill the log. Lines from info level on are
//! written [seldom](crate::seldom); lines at debug level are written as they come, for whoever asks for
//! them.

use std::panic;
use std::sync::{Mutex, Once};

use bearer_gate_hostcalls::{self as refusable, Level as HostLevel};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::envoy::unix_time;
use crate::seldom::Seldom;
use crate::time::{Millis, millis};

struct Lines(Mutex<Seldom>);

static LINES: Lines = Lines(Mutex::new(Seldom::new()));

/// Keeps the module's log level at the host's, so that only lines that are written are formatted.
/// The level can be changed while the proxy runs.
pub(super) fn follow_level() {
    static START: Once = Once::new();
    START.call_once(|| {
        // There is no other logger.
        if log::set_logger(&LINES).is_ok() {
            panic::set_hook(Box::new(|why| {
                refusable::log(HostLevel::Critical, &why.to_string())
            }));
        }
    });
    log::set_max_level(match refusable::log_level() {
        Ok(0) => LevelFilter::Trace,
        Ok(1) => LevelFilter::Debug,
        Ok(3) => LevelFilter::Warn,
        Ok(4) => LevelFilter::Error,
        Ok(5) => LevelFilter::Off,
        // Or the host does not tell.
        Ok(_) | Err(_) => LevelFilter::Info,
    });
}

/// Writes every line once more that a new configuration has a reason for.
pub(super) fn begin_anew() {
    if let Ok(mut seldom) = LINES.0.lock() {
        seldom.clear();
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let level = match record.level() {
            Level::Trace => return refusable::log(HostLevel::Trace, &text),
            Level::Debug => return refusable::log(HostLevel::Debug, &text),
            Level::Info => HostLevel::Info,
            Level::Warn => HostLevel::Warn,
            Level::Error => HostLevel::Error,
        };
        let place = (record.module_path_static(), record.line());
        if let Ok(mut seldom) = self.0.lock()
            && let Some(text) = seldom.say(
                place,
                &text,
                Millis(millis(unix_time().unwrap_or_default())),
            )
        {
            refusable::log(level, &text);
        }
    }

    fn flush(&self) {}
}
