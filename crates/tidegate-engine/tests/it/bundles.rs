//! A bundle proves itself without its journal: every byte of it.

use tidegate_engine::audit::Proof;
use tidegate_engine::bundle::{self, Bundle};
use tidegate_engine::digest::Digest;
use tidegate_engine::event::Event;

use crate::stage_hand::{Stage, done, on_stage, page};

const STAGES: &str = "## S\n\n```text\n# @confirm go\nGo on?\n```\n\n```sql\n-- @migrate m\n-- @version 1\n-- @requires go\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n";

/// The bundle of a finished run, with an approval in it.
async fn made(hint: &str) -> Bundle {
    let stage = Stage::new(hint).await;
    stage.seen.borrow_mut().approve_as = Some("bob".into());
    done(&stage.run(&page(STAGES)).await);
    bundle::make(&stage.session().await, stage.state().await.run).await.unwrap()
}

#[test]
fn every_byte_that_is_changed_cut_off_or_added_is_found() {
    on_stage(async {
        let text = made("bundle_bytes").await.to_text().unwrap().into_bytes();
        assert!(bundle::verify(&text, None).unwrap().holds());
        // Bits; the case of letters; and blanks and digits for each other, which parsers do not mind.
        for at in 0..text.len() {
            for other in [text[at] ^ 1, text[at] ^ 0x20, text[at] ^ 0x80, b'\t', b'\n', b' ', b'0', b'a'] {
                if other != text[at] {
                    let mut changed = text.clone();
                    changed[at] = other;
                    let found = bundle::verify(&changed, None);
                    assert!(found.is_err(), "byte {at}, {:?} to {:?}", text[at] as char, other as char);
                }
            }
        }
        for cut in 0..text.len() {
            assert!(bundle::verify(&text[..cut], None).is_err(), "cut at {cut}");
        }
        let longer = [text.as_slice(), b"\n"].concat();
        let why = bundle::verify(&longer, None).unwrap_err();
        assert_eq!(
            why,
            format!("it is not as it was written: byte {} is another, though no event is", longer.len())
        );
    });
}

#[test]
fn a_head_that_was_kept_elsewhere_shows_a_bundle_that_was_written_anew() {
    on_stage(async {
        let (kept, other) = (made("bundle_kept").await, made("bundle_anew").await);
        let text = kept.to_text().unwrap();
        let head = kept.head.to_string();
        let verdict = bundle::verify(text.as_bytes(), Some(&head)).unwrap();
        let events = u64::try_from(kept.bodies.len()).unwrap();
        assert_eq!(verdict.proof, Proof::Unchanged { event: events, later: 0 });
        assert_eq!((verdict.numbers, verdict.approvals), ((1, events), 1));
        let anew = bundle::verify(other.to_text().unwrap().as_bytes(), Some(&head)).unwrap();
        assert!(!anew.holds() && anew.to_string().contains("is that of none of these events"), "{anew}");
    });
}

#[test]
fn an_approval_of_another_head_and_events_of_another_run_are_found_though_all_hashes_fit() {
    on_stage(async {
        let whole = made("bundle_forged").await;
        let anew = |change: &dyn Fn(&mut Bundle)| {
            let mut forged = whole.clone();
            change(&mut forged);
            let mut hash = forged.before.1;
            for (at, body) in forged.bodies.iter().enumerate() {
                hash = Digest::chain(hash, forged.before.0 + 1 + u64::try_from(at).unwrap(), body);
            }
            forged.head = hash;
            bundle::verify(forged.to_text().unwrap().as_bytes(), None)
        };
        assert!(anew(&|_| {}).unwrap().holds());
        let shown = |body: &str| {
            let record: tidegate_engine::event::EventRecord = serde_json::from_str(body).unwrap();
            match record.event {
                Event::Approved { head, .. } => Some(head.to_string()),
                _ => None,
            }
        };
        let head = whole.bodies.iter().find_map(|body| shown(body)).unwrap();
        let other = Digest::of(b"another").to_string();
        let why = anew(&|forged| {
            for body in &mut forged.bodies {
                *body = body.replace(&head, &other);
            }
        });
        assert!(why.as_ref().is_err_and(|why| why.contains("is that of no event before it")), "{why:?}");
        let why = anew(&|forged| forged.run = uuid::Uuid::nil());
        assert!(why.as_ref().is_err_and(|why| why.contains("does not begin and end with run")), "{why:?}");
        let why = anew(&|forged| {
            forged.bodies.remove(1);
        });
        assert!(why.as_ref().is_err_and(|why| why.contains("says that it is event 3")), "{why:?}");
        let why = anew(&|forged| forged.bodies.clear());
        assert!(why.is_err(), "{why:?}");
    });
}
