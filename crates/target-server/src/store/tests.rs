//! Rows through a real store into a real database.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;

use super::*;

fn pool(threads: u16) -> Crew {
    Crew { name: "pool", threads, batch_max: 1, queue_max: 0 }
}

/// Takes the first step, after which the row is queued.
fn begin<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn database(folder: &tempfile::TempDir) -> Database {
    let path = folder.path().join("requests.db");
    Database { path, synchronous: Synchronous::Normal, busy_timeout: Duration::from_secs(10) }
}

fn row(uri: &str) -> Row {
    let uri = uri.parse().unwrap();
    Row {
        method: http::Method::POST,
        uri,
        content_length: 5,
        remote_addr: Some(std::net::IpAddr::from([192, 0, 2, 1]).into()),
    }
}

#[tokio::test]
async fn a_row_says_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(2), &stats).unwrap();
    let before = crate::clock::unix_seconds();
    store.keep(row("/a%20b?c=d")).await.unwrap();
    store.keep(row("http://example.org/x")).await.unwrap();
    let reader = Connection::open(database(&folder).path).unwrap();
    let read = |id: i64| {
        let sql = "SELECT method, path, content_length, remote_addr, timestamp FROM requests WHERE id = ?1";
        reader
            .query_row(sql, [id], |row| {
                let text: (String, String, i64, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((text, row.get::<_, f64>(4)?))
            })
            .unwrap()
    };
    let ((method, path, length, client), timestamp) = read(1);
    assert_eq!((&*method, &*path, length, &*client), ("POST", "/a%20b?c=d", 5, "192.0.2.1"));
    assert!(timestamp >= before && timestamp < before + 60.0);
    assert_eq!(read(2).0.1, "/x");
    assert_eq!(stats.counts().rows, 2);
}

#[tokio::test]
async fn a_failed_row_is_an_error_and_the_next_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(1), &stats).unwrap();
    let other = Connection::open(database(&folder).path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER picky BEFORE INSERT ON requests WHEN NEW.path = '/bad'
             BEGIN SELECT RAISE(FAIL, 'no thanks'); END",
        )
        .unwrap();
    let error = store.keep(row("/bad")).await.unwrap_err().to_string();
    assert_eq!(error, "the request could not be recorded: no thanks");
    store.keep(row("/good")).await.unwrap();
    assert_eq!(stats.counts().rows, 1);
    assert!(other.is_autocommit());
    assert_eq!(other.query_row("SELECT count(*) FROM requests", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[tokio::test]
async fn a_lock_that_is_not_released_fails_after_the_busy_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = database(&folder);
    database.busy_timeout = Duration::from_millis(20);
    let store = Store::start(&database, pool(1), &Arc::default()).unwrap();
    let other = Connection::open(&database.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.keep(row("/")).await.unwrap_err().to_string();
    assert_eq!(error, "the request could not be recorded: database is locked");
    other.execute_batch("ROLLBACK").unwrap();
    store.keep(row("/")).await.unwrap();
}

#[tokio::test]
async fn finishing_commits_what_is_queued_and_refuses_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(1), &stats).unwrap();
    let mut kept: Vec<_> = (0..100).map(|_| Box::pin(store.keep(row("/")))).collect();
    for keep in &mut kept {
        assert!(begin(keep).is_pending());
    }
    store.finish();
    assert_eq!(stats.counts().rows, 100);
    assert!(matches!(store.keep(row("/")).await, Err(KeepError::Closed)));
    assert!(!database(&folder).path.with_extension("db-wal").exists(), "the last one out checkpoints");
}
