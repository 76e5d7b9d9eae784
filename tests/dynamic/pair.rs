//! A server of generated code and a client that has none.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::protocol::Protocol;
use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::{Generation, Limits, Result};
use serde_json::Value as Json;

pub fn registry() -> Arc<Registry> {
    let mut registry = Registry::core(Generation::Core32).unwrap();
    let bytes = include_bytes!("../../schema/test/compiled.bin");
    registry.add(bytes, "foo").unwrap();
    Arc::new(registry)
}

/// A server of generated code, its client of none, and the handle of the server's `Init`.
pub struct Pair {
    pub objects: Objects,
    pub init: String,
    serving: Option<JoinHandle<Result<()>>>,
    _client: Capnp,
}

impl Pair {
    pub fn new<I: bitcoin_ipc::rt::Interface + ?Sized>(init: Arc<I>, interface: &str) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let server = Capnp::new("server", Limits::default())?;
            Protocol::<I>::serve(&server, theirs.into(), init)
        });
        let client = Capnp::new("client", Limits::default()).unwrap();
        let objects = Objects::new(registry(), core::options());
        let init = objects.connect(&client, ours, interface).unwrap();
        Self {
            objects,
            init,
            serving: Some(serving),
            _client: client,
        }
    }

    pub fn call(&self, method: &str, params: Json) -> Result<Json> {
        self.objects.call(&self.init, method, params)
    }

    pub fn chain(&self, steps: &[(&str, Json)]) -> Result<Json> {
        let steps: Vec<Step> = steps
            .iter()
            .map(|(method, params)| Step::new(*method, params.clone()))
            .collect();
        self.objects.chain(&self.init, &steps)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        assert!(self.objects.release(&self.init));
        self.objects.release_all();
        let served = self.serving.take().unwrap().join();
        if !std::thread::panicking() {
            served.unwrap().unwrap();
        }
    }
}
