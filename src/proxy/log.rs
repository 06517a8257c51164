//! What the filter writes into the proxy's log.
//!
//! Invariant: what requests can repeat at will does not fill the log. Lines from info level on are
//! written [seldom](crate::seldom); lines at debug level are written as they come, for whoever asks for
//! them.

use std::panic;
use std::sync::{Mutex, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

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
            panic::set_hook(Box::new(|why| write(LogLevel::Critical, &why.to_string())));
        }
    });
    if let Ok(level) = hostcalls::get_log_level() {
        log::set_max_level(match level {
            LogLevel::Trace => LevelFilter::Trace,
            LogLevel::Debug => LevelFilter::Debug,
            LogLevel::Info => LevelFilter::Info,
            LogLevel::Warn => LevelFilter::Warn,
            LogLevel::Error => LevelFilter::Error,
            LogLevel::Critical => LevelFilter::Off,
        });
    }
}

/// Writes every line once more that a new configuration has a reason for.
pub(super) fn begin_anew() {
    if let Ok(mut seldom) = LINES.0.lock() {
        seldom.clear();
    }
}

fn write(level: LogLevel, text: &str) {
    // Nobody could be told of an error.
    let _ = hostcalls::log(level, text);
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
            Level::Trace => return write(LogLevel::Trace, &text),
            Level::Debug => return write(LogLevel::Debug, &text),
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let place = (record.module_path_static(), record.line());
        if let Ok(mut seldom) = self.0.lock()
            && let Some(text) = seldom.say(place, &text, Millis(millis(unix_time())))
        {
            write(level, &text);
        }
    }

    fn flush(&self) {}
}
