//! The compiled request (`CodeGeneratorRequest`) as an index of its nodes.
//!
//! Knows how the request is laid out and nothing of what is made of it. Whatever the request lacks
//! or contradicts is an error that names the place.

use std::collections::{BTreeMap, HashMap};

use capnp::message::{Builder, Reader, ReaderOptions};
use capnp::schema_capnp::{annotation, code_generator_request, node};
use capnp::serialize::{self, OwnedSegments};
use capnp::{struct_list, text};

use crate::error::{Error, Result};
use crate::layout::PROXY_FILE;
use crate::names;

/// A compiled request as it was read.
pub(crate) struct Request {
    message: Reader<OwnedSegments>,
}

/// One file that the request asks to generate.
#[derive(Debug, Clone)]
pub(crate) struct RequestedFile {
    pub(crate) id: u64,
    /// Its name without folders, such as `echo.capnp`.
    pub(crate) name: String,
    /// Its name as a module, such as `echo`.
    pub(crate) module: String,
}

/// An index of a request.
pub(crate) struct Index<'a> {
    pub(crate) root: code_generator_request::Reader<'a>,
    pub(crate) requested: Vec<RequestedFile>,
    nodes: HashMap<u64, node::Reader<'a>>,
    comments: HashMap<u64, node::source_info::Reader<'a>>,
    /// Of the unnamed structs of parameters and results: the interface they belong to.
    owners: HashMap<u64, u64>,
}

impl Request {
    /// Reads a request; `name` is for errors.
    pub(crate) fn read(bytes: &[u8], name: &str) -> Result<Self> {
        let mut options = ReaderOptions::new();
        // Nodes are read many times over, but a damaged length must not allocate without end.
        options.traversal_limit_in_words(Some(bytes.len().saturating_mul(512)));
        let message = serialize::read_message(bytes, options)
            .map_err(|e| Error::malformed(name, format!("no compiled schema: {e}")))?;
        Ok(Self { message })
    }

    /// Indexes the request; `name` is for errors.
    pub(crate) fn index(&self, name: &str) -> Result<Index<'_>> {
        Index::new(self, name)
    }
}

impl<'a> Index<'a> {
    fn new(request: &'a Request, name: &str) -> Result<Self> {
        let wrong = |e: capnp::Error| Error::malformed(name, e);
        let root: code_generator_request::Reader<'a> = request.message.get_root().map_err(wrong)?;
        let mut index = Self {
            root,
            requested: Vec::new(),
            nodes: HashMap::new(),
            comments: HashMap::new(),
            owners: HashMap::new(),
        };
        for node in root.get_nodes().map_err(wrong)? {
            index.nodes.insert(node.get_id(), node);
        }
        for comment in root.get_source_info().map_err(wrong)? {
            index.comments.insert(comment.get_id(), comment);
        }
        for (id, node) in &index.nodes {
            let Ok(node::Interface(interface)) = node.which() else {
                continue;
            };
            for method in interface.get_methods().map_err(wrong)? {
                index.owners.insert(method.get_param_struct_type(), *id);
                index.owners.insert(method.get_result_struct_type(), *id);
            }
        }
        for file in root.get_requested_files().map_err(wrong)? {
            let path = string(file.get_filename(), name)?;
            let (name, module) = file_names(path);
            if let Some(other) = index.requested.iter().find(|f| f.module == module) {
                return Err(Error::schema(
                    path,
                    format!("becomes module `{module}`, as {} does", other.name),
                ));
            }
            index.requested.push(RequestedFile {
                id: file.get_id(),
                name,
                module,
            });
        }
        if index.requested.is_empty() {
            return Err(Error::malformed(name, "it asks for no file"));
        }
        Ok(index)
    }

    /// A node by id; `place` is who refers to it.
    pub(crate) fn node(&self, id: u64, place: &str) -> Result<node::Reader<'a>> {
        self.nodes.get(&id).copied().ok_or_else(|| {
            Error::malformed(place, format_args!("refers to @{id:#x}, which is missing"))
        })
    }

    /// Returns the modules of the requested files that are not the same in `other`, or import one that is
    /// not. Comments do not count.
    pub(crate) fn differing(&self, other: &Index<'_>) -> Result<Vec<String>> {
        let mut differing = Vec::new();
        let mut imports = Vec::new();
        for file in self
            .root
            .get_requested_files()
            .map_err(|e| Error::malformed("a file", e))?
        {
            let list = file
                .get_imports()
                .map_err(|e| Error::malformed("imports", e))?;
            let ids: Vec<u64> = list.iter().map(|import| import.get_id()).collect();
            imports.push((file.get_id(), ids));
        }
        // The nodes of `/mp/proxy.capnp` are there as far as they are used, and are the runtime's.
        for file in self.requested.iter().filter(|file| file.id != PROXY_FILE) {
            let (ours, theirs) = (self.content(file.id)?, other.content(file.id)?);
            if ours != theirs {
                differing.push(file.id);
            }
        }
        loop {
            let found = imports.iter().find(|(id, imports)| {
                !differing.contains(id) && imports.iter().any(|id| differing.contains(id))
            });
            match found {
                Some((id, _)) => differing.push(*id),
                None => break,
            }
        }
        let requested = self
            .requested
            .iter()
            .filter(|file| differing.contains(&file.id));
        Ok(requested.map(|file| file.module.clone()).collect())
    }

    /// Returns the nodes of a file by their ids, in canonical form.
    fn content(&self, file: u64) -> Result<BTreeMap<u64, Vec<u8>>> {
        let wrong = |e: capnp::Error| Error::malformed("a node", e);
        let mut content = BTreeMap::new();
        for (id, node) in &self.nodes {
            let lineage = self.lineage(*id, "a node")?;
            if lineage.last().is_some_and(|root| root.get_id() == file) {
                let mut message = Builder::new_default();
                message
                    .set_root_canonical::<node::Owned>(*node)
                    .map_err(wrong)?;
                content.insert(*id, message.get_segments_for_output().concat());
            }
        }
        Ok(content)
    }

    /// A node's parent: for the unnamed struct of a method, the method's interface.
    fn parent(&self, node: node::Reader<'a>) -> Option<u64> {
        match node.get_scope_id() {
            0 => self.owners.get(&node.get_id()).copied(),
            id => Some(id),
        }
    }

    /// A node's ancestors up to its file, itself first and the file last.
    pub(crate) fn lineage(&self, id: u64, place: &str) -> Result<Vec<node::Reader<'a>>> {
        let mut lineage = vec![self.node(id, place)?];
        while let Some(parent) = lineage.last().and_then(|node| self.parent(*node)) {
            if lineage.len() > 64 {
                return Err(Error::malformed(place, "nested without end"));
            }
            lineage.push(self.node(parent, place)?);
        }
        Ok(lineage)
    }

    /// A node's name without those of its parents.
    pub(crate) fn local_name(&self, node: node::Reader<'a>, place: &str) -> Result<&'a str> {
        let whole = string(node.get_display_name(), place)?;
        let prefix = node.get_display_name_prefix_length() as usize;
        whole
            .get(prefix..)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Error::malformed(place, "a node without a name"))
    }

    /// A node's comment.
    pub(crate) fn comment(&self, id: u64) -> &'a str {
        self.comments
            .get(&id)
            .and_then(|c| c.get_doc_comment().ok())
            .and_then(|text| text.to_str().ok())
            .unwrap_or_default()
    }

    /// The comment of a node's member: a field, method or enumerant.
    pub(crate) fn member_comment(&self, id: u64, member: u32) -> &'a str {
        self.comments
            .get(&id)
            .and_then(|c| c.get_members().ok())
            .and_then(|members| members.try_get(member))
            .and_then(|m| m.get_doc_comment().ok())
            .and_then(|text| text.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether one of the annotations is `name` of the file `file`.
    pub(crate) fn has_annotation(
        &self,
        annotations: capnp::Result<struct_list::Reader<'a, annotation::Owned>>,
        file: u64,
        name: &str,
        place: &str,
    ) -> Result<bool> {
        for annotation in annotations.map_err(|e| Error::malformed(place, e))? {
            // The node of an annotation that is only used, not referred to, may be left out.
            let Some(node) = self.nodes.get(&annotation.get_id()) else {
                continue;
            };
            if node.get_scope_id() == file && self.local_name(*node, place)? == name {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A text of the request.
pub(crate) fn string<'a>(text: capnp::Result<text::Reader<'a>>, place: &str) -> Result<&'a str> {
    text.map_err(|e| Error::malformed(place, e))?
        .to_str()
        .map_err(|e| Error::malformed(place, e))
}

/// A file's name without folders, and its module.
pub(crate) fn file_names(path: &str) -> (String, String) {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".capnp").unwrap_or(name);
    (name.to_owned(), names::module(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lose_their_folders() {
        assert_eq!(
            file_names("schema/my-foo.capnp"),
            ("my-foo.capnp".to_owned(), "my_foo".to_owned())
        );
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        let error = Request::read(b"interface Foo {}", "foo.capnp").err();
        assert!(
            error.is_some_and(|e| e.to_string().starts_with("foo.capnp: malformed: ")),
            "names the file"
        );
    }
}
