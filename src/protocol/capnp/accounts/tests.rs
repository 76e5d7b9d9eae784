//! The shares of processes, users and other peers.

use super::*;
use crate::peer::Credentials;

fn peer(pid: u32, uid: u32) -> Peer {
    Peer::Process(Credentials {
        pid: Some(pid),
        uid,
        gid: 0,
    })
}

fn accounts(connections: usize) -> Arc<Accounts> {
    Accounts::new(&Limits::default().connections(connections))
}

/// Takes connections until one is refused.
fn all(account: &Arc<Account>) -> Vec<Charge> {
    let charge = || account.charge(Resource::Connections, 1).ok();
    std::iter::from_fn(charge).collect()
}

#[test]
fn a_process_leaves_as_much_to_others_as_it_takes() {
    let accounts = accounts(1000);
    let first = all(&accounts.of(peer(1, 7)));
    let second = all(&accounts.of(peer(2, 7)));
    let third = all(&accounts.of(peer(3, 8)));
    assert_eq!([first.len(), second.len(), third.len()], [500, 250, 125]);
    assert_eq!(accounts.used(Resource::Connections), 875);
    drop((first, second, third));
    assert_eq!(accounts.used(Resource::Connections), 0);
}

#[test]
fn a_user_leaves_an_eighth_to_others() {
    let accounts = accounts(8000);
    let held: Vec<_> = (0..20).map(|pid| all(&accounts.of(peer(pid, 7)))).collect();
    // Each process may hold a small amount besides.
    assert!(held.iter().flatten().count() <= 7000 + 20 * 16);
    assert!(all(&accounts.of(peer(99, 8))).len() > 300);
}

fn named(name: &str) -> Peer {
    Peer::Named(name.into())
}

#[test]
fn peers_that_are_no_processes_are_told_apart_by_name_and_leave_an_eighth_to_processes() {
    let accounts = accounts(8000);
    let (one, same) = (accounts.of(named("::1")), accounts.of(named("::1")));
    assert!(Arc::ptr_eq(&one, &same));
    assert_eq!(one.to_string(), "::1");
    let unknown = accounts.of(Peer::Unknown);
    assert!(Arc::ptr_eq(&unknown, &accounts.of(Peer::Unknown)));
    assert!(!Arc::ptr_eq(&unknown, &one));
    let held: Vec<_> = (0..20)
        .map(|host| all(&accounts.of(named(&format!("192.0.2.{host}")))))
        .collect();
    let left = all(&unknown).len();
    // Each may hold a small amount besides.
    assert!(held.iter().flatten().count() + left <= 7000 + 21 * 16);
    assert!(left >= 16);
    assert!(all(&accounts.of(peer(1, 7))).len() > 300);
}

#[test]
fn a_little_is_not_refused_and_the_total_is_not_exceeded() {
    let accounts = accounts(20);
    let first = all(&accounts.of(peer(1, 7)));
    let second = all(&accounts.of(peer(2, 7)));
    assert_eq!([first.len(), second.len()], [16, 4]);
}

#[test]
fn one_process_has_one_account_however_many_its_connections() {
    let accounts = accounts(100);
    let (one, same) = (accounts.of(peer(1, 7)), accounts.of(peer(1, 7)));
    assert!(Arc::ptr_eq(&one, &same));
    let _held = all(&one);
    let refused = same.charge(Resource::Connections, 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "process 1 of user 7 would hold 51 connections here, beyond its share of 100"
    );
}

#[test]
fn threads_that_charge_at_once_leave_nothing() {
    let accounts = Accounts::new(&Limits::default());
    let account = accounts.of(peer(1, 7));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let account = &account;
            scope.spawn(move || {
                for round in 0..20_000 {
                    let charge = account.bytes(16 * 1024 + thread * 100 + round % 999);
                    drop(charge.unwrap());
                }
            });
        }
    });
    assert_eq!(account.used(Resource::Bytes), 0);
    drop(account);
    assert_eq!(accounts.used(Resource::Bytes), 0);
}

#[test]
fn a_process_that_comes_again_does_not_begin_anew_in_the_log() {
    let accounts = accounts(10);
    let event_loop = EventLoop::new("test").unwrap();
    for _ in 0..30 {
        accounts
            .of(peer(1, 7))
            .warn(&event_loop, format_args!("a line"));
    }
    let account = accounts.of(peer(1, 7));
    assert_eq!(lock(&account.log).left_out, 20);
}
