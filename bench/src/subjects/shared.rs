//! Resources that several subjects share: children, started on first use and ended at the end of
//! the run.

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Ipc, Spawned};
use eyre::{Result, WrapErr, eyre};

use super::connections::{Crowd, Listening};
use super::echo::{self, Server};
use super::objects::Benching;
use super::processes;
use crate::children::finish;
use crate::placement::{Placement, Processors};

/// Children, sockets and folders that several subjects use.
pub struct Shared {
    /// The processors that subjects run on.
    pub processors: Processors,
    /// The benchmark's side of Core's interfaces, for each placement.
    ipc: [Lazy<Ipc<dyn Init>>; 3],
    folder: tempfile::TempDir,
    /// Programs as an installation has them.
    installed: tempfile::TempDir,
    echoes: RefCell<Vec<Rc<Echoing>>>,
    benching: [Lazy<Benching>; 3],
    listening: Lazy<Listening>,
    crowd: Lazy<Crowd>,
    executable: OnceCell<Option<PathBuf>>,
}

/// A child that serves Core's `Init`.
struct Echoing {
    server: Server,
    placement: Placement,
    spawned: Spawned<dyn Init>,
    echo: Arc<dyn Echo>,
}

/// A value that is made on first use.
struct Lazy<T>(RefCell<Option<Rc<T>>>);

impl<T> Lazy<T> {
    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
        if let Some(made) = &*self.0.borrow() {
            return Ok(made.clone());
        }
        let made = Rc::new(make()?);
        *self.0.borrow_mut() = Some(made.clone());
        Ok(made)
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl Shared {
    /// Creates the shared resources without starting anything.
    pub fn new(processors: Processors) -> Result<Self> {
        Ok(Self {
            processors,
            ipc: Default::default(),
            folder: tempfile::tempdir().wrap_err("make a temporary folder")?,
            // On the disk of the build: the system's folder for temporary files may be in memory.
            installed: tempfile::tempdir_in(processes::own_folder()?)
                .wrap_err("make a temporary folder")?,
            echoes: RefCell::default(),
            benching: Default::default(),
            listening: Lazy::default(),
            crowd: Lazy::default(),
            executable: OnceCell::new(),
        })
    }

    /// Returns the folder for sockets.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the benchmark's side of Core's interfaces. Its threads run where the caller does, so
    /// the caller must be in this placement.
    pub fn ipc(&self, placement: Placement) -> Result<Rc<Ipc<dyn Init>>> {
        self.ipc[placement as usize].get(|| Ok(Ipc::new("bench", Role::Gui.init())?))
    }

    fn echoing(&self, server: &Server, placement: Placement) -> Result<Rc<Echoing>> {
        let find =
            |echoing: &&Rc<Echoing>| echoing.server == *server && echoing.placement == placement;
        if let Some(found) = self.echoes.borrow().iter().find(find) {
            return Ok(found.clone());
        }
        let program = server.program(self.processors.server(placement))?;
        let spawned = self.ipc(placement)?.spawn(program)?;
        let made = Rc::new(Echoing {
            server: server.clone(),
            placement,
            echo: echo::make(&*spawned.init)?,
            spawned,
        });
        self.echoes.borrow_mut().push(made.clone());
        Ok(made)
    }

    /// Returns the `Init` of a child.
    pub fn init(&self, server: &Server, placement: Placement) -> Result<Arc<dyn Init>> {
        Ok(self.echoing(server, placement)?.spawned.init.clone())
    }

    /// Returns the `Echo` of that child.
    pub fn echo(&self, server: &Server, placement: Placement) -> Result<Arc<dyn Echo>> {
        Ok(self.echoing(server, placement)?.echo.clone())
    }

    /// Returns a child with the benchmark's own interfaces.
    pub fn benching(&self, placement: Placement) -> Result<Rc<Benching>> {
        let processor = self.processors.server(placement);
        self.benching[placement as usize].get(|| Benching::start(processor))
    }

    /// Returns a child that listens.
    pub fn listening(&self) -> Result<Rc<Listening>> {
        let path = self.folder().join("listening.sock");
        self.listening.get(|| Listening::start(&path))
    }

    /// Returns a child that listens and has many idle connections.
    pub fn crowd(&self) -> Result<Rc<Crowd>> {
        self.crowd.get(|| Crowd::start(self))
    }

    /// Returns the path of the executable `bitcoin-ipc`, or `None` where it cannot be built or
    /// found.
    pub fn executable(&self) -> Result<Option<&Path>> {
        if self.executable.get().is_none() {
            // Nobody else sets it.
            let built = processes::build_executable()?;
            let installed = built.map(|built| self.install(&built)).transpose()?;
            let _ = self.executable.set(installed);
        }
        Ok(self.executable.get().and_then(|found| found.as_deref()))
    }

    /// Copies a program as an installation does. The pages of a file that a linker has just written
    /// are in small pieces in the system's memory, and take longer to map than those of a file that
    /// was written at once or read from the disk.
    pub fn install(&self, program: &Path) -> Result<PathBuf> {
        let name = program.file_name().ok_or_else(|| eyre!("not a program"))?;
        let copy = self.installed.path().join(name);
        let write = || {
            fs::write(&copy, fs::read(program)?)?;
            fs::set_permissions(&copy, fs::metadata(program)?.permissions())
        };
        write().wrap_err_with(|| format!("copy {}", program.display()))?;
        Ok(copy)
    }

    /// Ends every child. Subjects that use one must be gone.
    pub fn end(self) -> Result<()> {
        let mut ended = Ok(());
        for echoing in self
            .echoes
            .into_inner()
            .into_iter()
            .filter_map(Rc::into_inner)
        {
            drop(echoing.echo);
            let finished = finish(echoing.spawned);
            ended = ended.and(finished.wrap_err_with(|| echoing.server.name("the child")));
        }
        for benching in self.benching {
            if let Some(benching) = benching.0.into_inner().and_then(Rc::into_inner) {
                ended = ended.and(benching.end());
            }
        }
        ended
    }
}
