//! The place of generated code and of what it depends on, as Rust paths.
//!
//! The one place that knows how paths of the runtime library, of its generated modules and of the
//! user's own modules are put together.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// The file id of `/mp/proxy.capnp`, whose types are the runtime's own business.
pub(crate) const PROXY_FILE: u64 = 0xcc31_6e3f_71a0_40fb;

/// The schema files that the runtime library has generated code for, by file id.
pub(crate) const CORE: &[(u64, &str)] = &[
    (PROXY_FILE, "proxy"),
    (0xcd2c_6232_cb48_4a28, "common"),
    (0x888b_4f7f_51e6_91f7, "echo"),
    (0xf2c5_cfa3_1940_6aa6, "init"),
    (0xc77d_03df_6a41_b505, "mining"),
    (0x9c35_05dc_45e1_46ac, "rpc"),
];

/// The file ids that the runtime library has generated code for.
pub(crate) fn core_files() -> impl Iterator<Item = u64> {
    CORE.iter().map(|(id, _)| *id)
}

/// The module that the runtime library has for a schema file.
pub(crate) fn core_module(file: u64) -> Option<&'static str> {
    CORE.iter()
        .find(|(id, _)| *id == file)
        .map(|(_, name)| *name)
}

/// The paths of one run of the generator.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The runtime library: `::bitcoin_ipc`, or `crate` within it.
    pub(crate) runtime: String,
    /// The module whose children are the files' traits and values.
    pub(crate) interfaces: String,
    /// The module whose children are capnpc's modules.
    pub(crate) wire: String,
    /// Whether every file's code is made anew, that of `/mp/proxy.capnp` too.
    pub(crate) is_newest: bool,
    /// The functions that wrap clients: the interface's name in the schema, and the function's
    /// path.
    pub(crate) wraps: Vec<(String, String)>,
    /// The types that stand for data or numbers: the field, such as `Mining.getTip.result`, and the
    /// type's path.
    pub(crate) values: Vec<(String, String)>,
    /// The fields that are absent where they are null.
    pub(crate) nullable: Vec<String>,
}

impl Layout {
    /// The runtime library's own layout.
    pub(crate) fn library() -> Self {
        Self {
            runtime: "crate".to_owned(),
            interfaces: "crate::interfaces".to_owned(),
            wire: "crate::protocol::capnp::generated::wire".to_owned(),
            is_newest: true,
            wraps: Vec::new(),
            values: Vec::new(),
            nullable: Vec::new(),
        }
    }

    /// The runtime library's layout for an older generation of its interfaces.
    pub(crate) fn older(name: &str) -> Self {
        Self {
            interfaces: format!("crate::interfaces::{name}"),
            wire: format!("crate::protocol::capnp::generated::{name}::wire"),
            is_newest: false,
            ..Self::library()
        }
    }

    /// A user's layout, all in one module.
    pub(crate) fn user(runtime: &str, module: &str) -> Result<Self> {
        let module = module.trim_end_matches("::");
        let well_formed = module.split("::").all(|part| {
            part.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '#')
        });
        if !(well_formed && module.starts_with("crate::")) {
            return Err(Error::Usage(format!(
                "module {module:?}: give the whole path of the module that includes the generated \
                 code, such as `crate::closure`"
            )));
        }
        Ok(Self {
            runtime: runtime.to_owned(),
            interfaces: format!("{module}::interfaces"),
            wire: format!("{module}::wire"),
            is_newest: false,
            wraps: Vec::new(),
            values: Vec::new(),
            nullable: Vec::new(),
        })
    }

    /// Sets the types that stand for fields, and the fields that are absent where they are null.
    pub(crate) fn mean(&mut self, (values, nullable): (&Vec<(String, String)>, &Vec<String>)) {
        self.values.clone_from(values);
        self.nullable.clone_from(nullable);
    }

    /// Returns the fields of which it says what they mean.
    pub(crate) fn meanings(&self) -> impl Iterator<Item = &String> {
        let values = self.values.iter().map(|(field, _)| field);
        values.chain(&self.nullable)
    }

    /// Checks that the fields of which it says what they mean are among those that were `found`.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check_meanings(&self, found: &BTreeSet<String>) -> Result<()> {
        match self.meanings().find(|field| !found.contains(*field)) {
            Some(field) => Err(Error::Usage(format!(
                "{field} is to be a value or nullable, and no interface of the schema carries such a field"
            ))),
            None => Ok(()),
        }
    }

    /// Whether this is the runtime library generating its own code.
    pub(crate) fn is_library(&self) -> bool {
        self.runtime == "crate"
    }

    /// The function that wraps an interface's client.
    pub(crate) fn wrap(&self, interface: &str) -> Option<&str> {
        let found = self.wraps.iter().find(|(name, _)| name == interface);
        found.map(|(_, function)| function.as_str())
    }

    /// The module that generated proxies use.
    pub(crate) fn rt(&self) -> String {
        format!("{}::rt", self.runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_a_whole_path() {
        assert!(Layout::user("::bitcoin_ipc", "crate::a::b").is_ok());
        for wrong in ["closure", "self::closure", "crate", "crate::a b"] {
            assert!(Layout::user("::bitcoin_ipc", wrong).is_err(), "{wrong}");
        }
    }
}
