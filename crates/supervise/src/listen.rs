//! Listening sockets, bound before anybody is started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::Socket;

use crate::bind::{self, SocketFile};
use crate::{Address, Sharing, SocketSpec, Spec, StartError};

/// Everywhere a group listens. The addresses stay the group's own while instances come and go.
#[derive(Debug)]
pub(crate) struct Places {
    places: Vec<Place>,
    backlog: i32,
}

/// One socket as it was wanted.
#[derive(Debug)]
struct Place {
    spec: SocketSpec,
    /// One for all instances, or one for each in the order of their numbers.
    sites: Vec<Site>,
}

/// One address.
#[derive(Debug)]
enum Site {
    /// The reservation is bound but does not listen: it keeps the port ours and is never given connections.
    Tcp { address: SocketAddr, _reservation: Socket },
    /// The file is there once somebody listens. The listener is kept where instances share it.
    Unix { path: PathBuf, file: Option<SocketFile>, shared: Option<Socket> },
}

impl Places {
    /// Takes all addresses. Nothing listens yet.
    pub(crate) fn take(spec: &Spec) -> Result<Self, StartError> {
        let mut places = Vec::new();
        for wanted in &spec.sockets {
            wanted.check()?;
            let last = if wanted.sharing == Sharing::Together { 1 } else { spec.instances.get() };
            let sites =
                (1..=last).map(|number| Site::take(wanted.address_of(number)?)).collect::<Result<_, _>>()?;
            places.push(Place { spec: wanted.clone(), sites });
        }
        Ok(Self { places, backlog: i32::from(spec.backlog) })
    }

    /// The names of the passed sockets, in the order of their descriptors.
    pub(crate) fn names(&self) -> String {
        let passed = self.places.iter().filter(|place| place.spec.passed);
        let names: Vec<&str> = passed.map(|place| place.spec.name.as_str()).collect();
        names.join(":")
    }

    /// Where the sockets `name` of instance `number` listen.
    pub(crate) fn addresses(&self, name: &str, number: u16) -> Vec<Address> {
        let named = self.places.iter().filter(|place| place.spec.name == name);
        named.map(|place| place.sites[place.site_of(number)].address()).collect()
    }

    /// Listening sockets for one instance, in the order of [`Places::names`].
    pub(crate) fn listen(&mut self, number: u16) -> Result<Vec<Socket>, StartError> {
        let backlog = self.backlog;
        let listen = |place: &mut Place| {
            let (at, mode, shared) =
                (place.site_of(number), place.spec.mode, place.spec.sharing == Sharing::Together);
            let site = &mut place.sites[at];
            site.listen(backlog, mode, shared).map_err(|source| failed(site.address(), source))
        };
        self.places.iter_mut().filter(|place| place.spec.passed).map(listen).collect()
    }

    /// Keeps no listening socket any longer.
    pub(crate) fn release(&mut self) {
        for site in self.places.iter_mut().flat_map(|place| &mut place.sites) {
            if let Site::Unix { shared, .. } = site {
                *shared = None;
            }
        }
    }
}

impl Place {
    fn site_of(&self, number: u16) -> usize {
        match self.spec.sharing {
            Sharing::Together => 0,
            Sharing::Apart => usize::from(number) - 1,
        }
    }
}

impl Site {
    fn take(wanted: Address) -> Result<Self, StartError> {
        let taken = match &wanted {
            Address::Tcp(address) => reserve(*address),
            // Its file comes with its listener: there is no bound socket that does not listen to keep it with.
            Address::Unix(path) => Ok(Self::Unix { path: path.clone(), file: None, shared: None }),
        };
        taken.map_err(|source| failed(wanted, source))
    }

    fn address(&self) -> Address {
        match self {
            Self::Tcp { address, .. } => Address::Tcp(*address),
            Self::Unix { path, .. } => Address::Unix(path.clone()),
        }
    }

    fn listen(&mut self, backlog: i32, mode: u32, together: bool) -> io::Result<Socket> {
        match self {
            Self::Tcp { address, .. } => {
                let socket = bind::tcp(*address, true)?;
                socket.listen(backlog)?;
                Ok(socket)
            }
            Self::Unix { shared: Some(socket), .. } => socket.try_clone(),
            Self::Unix { path, file, shared } => {
                // What we listened on before goes first, or we would find a dead socket of our own.
                *file = None;
                let (socket, created) = bind::unix(path, mode)?;
                socket.listen(backlog)?;
                *file = Some(created);
                *shared = if together { Some(socket.try_clone()?) } else { None };
                Ok(socket)
            }
        }
    }
}

fn failed(address: Address, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { address },
        _ => StartError::Listen { address, source },
    }
}

fn reserve(wanted: SocketAddr) -> io::Result<Site> {
    if wanted.port() != 0 {
        // With SO_REUSEPORT we would silently join a group of the same user. Without it, the kernel tells.
        bind::tcp(wanted, false)?;
    }
    let reservation = bind::tcp(wanted, true)?;
    let address = reservation.local_addr()?.as_socket();
    let address = address.ok_or_else(|| io::Error::other("the bound socket has no internet address"))?;
    Ok(Site::Tcp { address, _reservation: reservation })
}
