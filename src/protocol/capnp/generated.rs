//! Clients and servers of the built-in interfaces, generated from `schema/core32`.

/// The messages, as capnpc generates them.
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/core32/wire.rs"));
}

include!(concat!(env!("OUT_DIR"), "/core32/proxies.rs"));
