//! What the server will not take is kept where it is seen, and the queue goes on.

use vfs_core::client::{ClientError, QueueError};

use super::ground::{Desk, Hub, put};

#[test]
fn a_rejected_operation_leaves_the_queue_and_the_rest_is_pushed() {
    let mut hub = Hub::with(&["c"]);
    let mut desk = Desk::new("desktop", 10);
    for (parent, child) in [("p", "c"), ("p", "not-mine"), ("q", "c")] {
        desk.queue(&put(parent, child), 1);
    }
    let error = desk.flush(|request| hub.answer(request)).unwrap_err();
    assert_eq!(error.to_string(), "push rejected one or more operations");
    let ClientError::Rejected { results } = &error else { panic!("{error:?}") };
    assert_eq!(results.iter().map(|result| result.op_id.as_str()).collect::<Vec<_>>(), ["desktop-2"]);
    assert_eq!((desk.client.pending().len(), desk.client.rejected().len()), (0, 1));
    assert_eq!(hub.model.operations().count(), 2);
    assert!(desk.client.cursor().is_some(), "and what the server has was read");
    // It is said once; it stays in the export until somebody decides.
    desk.flush(|request| hub.answer(request)).unwrap();
    let mut again = desk.restarted();
    assert_eq!(again.client.rejected(), desk.client.rejected());
    assert_eq!(again.signatures(), [""; 0]);

    let known = again.client.queue_local_operation(&put("p", "c").named("desktop-2"), crate::scene::at(1));
    assert!(matches!(known, Err(QueueError::AlreadyQueued(_))));
    assert_eq!(again.client.retry_rejected("other").unwrap_err().to_string(), "opId other is not rejected");
    hub.model.register(hub.now, &hub.who, &crate::scene::item("not-mine")).unwrap();
    let retried = again.client.retry_rejected("desktop-2").unwrap();
    assert_eq!((retried.operation.op_id.as_str(), retried.operation.write_id.get()), ("desktop-2", 4));
    again.flush(|request| hub.answer(request)).unwrap();
    assert_eq!((again.client.rejected().len(), hub.model.operations().count()), (0, 3));

    let undone = desk.client.undo_rejected("desktop-2").unwrap();
    assert_eq!(undone.operation.operation.item_id.as_str(), "not-mine");
    assert_eq!(desk.client.rejected(), []);
}
