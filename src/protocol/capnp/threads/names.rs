//! The names of threads, as Core writes them.
//!
//! Knows the operating system's numbers; nothing of what the threads do.

/// Peers' names for their threads are cut at this many bytes.
pub const NAME_LENGTH: usize = 256;

/// `text`, cut at `length` bytes at the most, between characters.
pub fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// The name of the calling thread: `<exe>-<pid>/<thread>-<tid>`.
pub fn thread_name(exe_name: &str) -> String {
    name_of(exe_name, std::thread::current().name())
}

/// The name of the calling thread, if it were called `thread`.
pub fn name_of(exe_name: &str, thread: Option<&str>) -> String {
    let pid = std::process::id();
    let tid = rustix::thread::gettid();
    match thread {
        Some(name) => format!("{exe_name}-{pid}/{name}-{tid}"),
        None => format!("{exe_name}-{pid}/{tid}"),
    }
}
