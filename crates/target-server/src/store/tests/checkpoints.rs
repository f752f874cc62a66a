//! The write-ahead log stays below its bound, whoever writes.

use super::*;

const WAL_MAX: u64 = 1 << 20;

fn background(folder: &tempfile::TempDir) -> Database {
    Database {
        checkpoints: Checkpoints::Background { wal_max: WAL_MAX },
        busy: Busy::Fixed(Duration::from_millis(1)),
        ..database(folder)
    }
}

/// Long rows, so that few of them fill a log.
async fn write(store: &Store, rows: usize) {
    let path = format!("/{}", "x".repeat(8000));
    let mut kept = 0;
    while kept < rows {
        let mut keeping: Vec<_> = (0..8).map(|_| Box::pin(store.keep(row(&path)))).collect();
        for keep in &mut keeping {
            assert!(begin(keep).is_pending());
        }
        for keep in keeping {
            keep.await.unwrap();
            kept += 1;
        }
    }
}

#[tokio::test]
async fn the_log_stays_below_its_bound_under_unbroken_writing() {
    let folder = tempfile::tempdir().unwrap();
    // As several instances: each has its own connections and its own thread for checkpoints.
    let crews = [group(1024), pool(2), group(1024)];
    let stores = crews.map(|crew| Store::start(&background(&folder), crew, &Arc::default()).unwrap());
    let [first, second, third] = &stores;
    tokio::join!(write(first, 1600), write(second, 1600), write(third, 1600));
    for store in &stores {
        let figures = store.figures();
        assert!(figures.wal_bytes_largest <= WAL_MAX, "{figures:?}");
        assert_eq!((figures.checkpoints_failed, figures.checkpoint_error), (Some(0), None));
        assert_eq!(figures.pragmas["wal_autocheckpoint"], 0);
    }
    assert!(stores.iter().any(|store| store.figures().checkpoints > Some(10)));
    let size = std::fs::metadata(database(&folder).path).unwrap().len();
    assert!(size > 30 * WAL_MAX, "{size} bytes went through the log");
    stores.iter().for_each(Store::finish);
    assert_eq!(paths(&folder).len(), 4800);
    assert!(!folder.path().join("requests.db-wal").exists());
}

#[tokio::test]
async fn who_reads_for_long_stops_the_bound_but_not_the_writing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&background(&folder), group(1024), &Arc::default()).unwrap();
    write(&store, 8).await;
    let reader = Connection::open(database(&folder).path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM requests").unwrap();
    write(&store, 500).await;
    let figures = store.figures();
    assert!(figures.wal_bytes_largest > 2 * WAL_MAX, "{figures:?}");
    assert!(figures.checkpoints_failed > Some(0), "{figures:?}");
    assert_eq!(figures.checkpoint_error.as_deref(), Some("database is locked"));
    reader.execute_batch("COMMIT").unwrap();
    until(|| store.figures().checkpoints > figures.checkpoints).await;
    // From now on the log is begun anew, so its file stays as long as it is.
    let largest = store.figures().wal_bytes_largest;
    write(&store, 1000).await;
    assert!(store.figures().wal_bytes_largest <= largest + WAL_MAX);
}
