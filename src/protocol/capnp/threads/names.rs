//! The names of threads, as Core writes them.
//!
//! Knows the operating system's numbers; nothing of what the threads do.

/// The length that peers' names for their threads are cut at, in bytes.
pub const NAME_LENGTH: usize = 256;

/// Returns `text`, cut at no more than `length` bytes, between characters.
pub fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// Returns the name of the calling thread: `<exe>-<pid>/<thread>-<tid>`.
pub fn thread_name(exe_name: &str) -> String {
    name_of(exe_name, std::thread::current().name())
}

/// Returns the name that the calling thread would have if it were called `thread`.
pub fn name_of(exe_name: &str, thread: Option<&str>) -> String {
    let pid = std::process::id();
    let tid = rustix::thread::gettid();
    match thread {
        Some(name) => format!("{exe_name}-{pid}/{name}-{tid}"),
        None => format!("{exe_name}-{pid}/{tid}"),
    }
}
