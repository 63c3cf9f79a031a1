//! What a figure was taken on, without naming whose machine it is.

/// Processors, memory, system and load, as one line.
#[must_use]
pub fn describe() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown model".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(|| "unknown memory".to_owned(), |kib| format!("{} GiB", kib.div_ceil(1024 * 1024)));
    let kernel = first_line("/proc/sys/kernel/osrelease")
        .and_then(|text| Some(format!("Linux {}", text.split(['-', '+']).next()?)))
        .unwrap_or_else(|| std::env::consts::OS.to_owned());
    format!("{processors} processors ({model}), {memory}, {kernel}, load {}", load())
}

/// The load of the last minute, of five, of fifteen.
fn load() -> String {
    let line = first_line("/proc/loadavg").unwrap_or_default();
    line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn first_line(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

/// What stands behind `name:` in the first line that begins so.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
