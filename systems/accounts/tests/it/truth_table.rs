//! Every combination of the three flags, with either order of locks, and every operation of a store: which schema
//! holds the outcome, and what is read back.

use accounts::Write;
use accounts::auth::{AuthSecret, Token};
use accounts::binding::Binding;
use accounts::operation::{Operation, Outcome, Performed, SignIn, SignUp, perform};
use accounts::store::{
    AvatarChange, IdentityChange, NewBook, NewIdentity, NewSnapshot, PixbookWanted, Store, StoreError, User,
};
use serde_json::json;
use tidegate_store::postgres::{Session, TxOptions, TxOutcome, run_tx};
use tidegate_switch::{Side, Stage};

use crate::ground::{Ground, ROWS, accounts_set};
use crate::parity::{assert_parity, content};

/// One account with something of everything, made step by step under a stage.
struct Life {
    ground: Ground,
    session: Session,
    user: User,
    account: String,
}

impl Life {
    async fn begin() -> Self {
        let ground = Ground::migrated().await;
        let session = ground.session().await;
        let user = User { id: "user_ada".into(), email: "ada@example.org".into(), name: "Ada".into() };
        Self { ground, session, user, account: String::new() }
    }

    async fn perform(&self, stage: Stage, operation: &Operation) -> Result<Performed, StoreError> {
        let outcome =
            run_tx(&self.session, operation.name(), &TxOptions::default(), async |session: &Session| {
                let mut write = Write::begin(session, stage);
                let performed = perform(&mut write, &self.user, &self.account, operation).await?;
                write.mirror().await?;
                Ok::<_, StoreError>(performed)
            })
            .await;
        match outcome {
            TxOutcome::Committed(performed) => Ok(performed),
            TxOutcome::RolledBack(error) => Err(error),
            TxOutcome::Unknown(failure) => panic!("{failure}"),
        }
    }

    /// Performs it and checks who holds what afterwards.
    async fn check(&mut self, stage: Stage, operation: &Operation) -> Outcome {
        let what = format!("{} under {stage}", operation.name());
        let before = content(&self.ground, stage.primary == Side::New).await;
        let own_before = content(&self.ground, stage.primary == Side::Old).await;
        let performed = self.perform(stage, operation).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let Performed::Done { account, outcome } = performed else { panic!("{what}: {performed:?}") };
        self.account = account;
        match stage.mirror {
            Some(_) => assert_parity(&self.ground, &what).await,
            None => {
                assert_eq!(
                    content(&self.ground, stage.primary == Side::New).await,
                    before,
                    "{what}: the other side"
                );
            }
        }
        let own = content(&self.ground, stage.primary == Side::Old).await;
        assert_ne!(own, own_before, "{what} left no trace on its own side");
        *outcome
    }

    /// What a reader of a side sees.
    async fn seen(&self, side: Side) -> String {
        let store = Store::of(side);
        let Some(membership) = store.membership(&self.session, &self.user.id, &self.account).await.unwrap()
        else {
            return "nothing".to_owned();
        };
        let summary = store.summary(&self.session, &membership).await.unwrap();
        let identities = store.identities(&self.session, &self.account).await.unwrap();
        let books = store.books(&self.session, &self.account).await.unwrap();
        let mut snapshots = Vec::new();
        for book in &books {
            snapshots.push(store.latest_snapshot(&self.session, &book.id).await.unwrap());
        }
        json!([summary, identities, books, snapshots]).to_string()
    }
}

/// Every operation once, each with what earlier ones made.
async fn live_through(life: &mut Life, stage: Stage) {
    let (secret, token) = (AuthSecret::of("s"), Token::fresh().unwrap());
    let sign_in = SignIn { secret: secret.clone(), token: token.clone() };
    let sign_up = SignUp { password_hash: "$argon2id$".into(), sign_in };
    life.check(stage, &Operation::SignUp(sign_up)).await;
    life.check(stage, &Operation::RenameWorkspace { name: "Ours".into() }).await;

    let new = |profile: &str, key: &str| NewIdentity {
        display_name: "P".into(),
        profile_id: profile.into(),
        identity_public_key: key.into(),
        ..NewIdentity::default()
    };
    let Outcome::Identity(one) = life.check(stage, &Operation::CreateIdentity(new("p1", "k1"))).await else {
        panic!()
    };
    let change = IdentityChange {
        display_name: "Q".into(),
        avatar: AvatarChange::Set("a".into()),
        profile_id: "p9".into(),
        identity_public_key: "k9".into(),
        ..IdentityChange::default()
    };
    life.check(stage, &Operation::UpdateIdentity { id: one.id.clone(), change }).await;
    let book = NewBook { managed_user_id: one.id.clone(), name: "B".into(), ..NewBook::default() };
    let Outcome::BookCreated(first) = life.check(stage, &Operation::CreateBook(book.clone())).await else {
        panic!()
    };
    let rename = Operation::UpdateBook { id: first.clone(), name: "C".into(), status: String::new() };
    life.check(stage, &rename).await;
    life.check(stage, &Operation::RemoveBook { id: first.clone() }).await;
    let Outcome::BookCreated(second) = life.check(stage, &Operation::CreateBook(book)).await else {
        panic!()
    };
    assert_ne!(first, second);

    // By profile and key: made where missing, then saved again.
    let wanted = PixbookWanted { binding: Binding::of("p2", "k2"), ..PixbookWanted::default() };
    for version in 1..=2 {
        let new = NewSnapshot { payload: json!({ "v": version }), ..NewSnapshot::default() };
        let save = Operation::SavePixbook { wanted: wanted.clone(), new };
        let Outcome::Saved(saved) = life.check(stage, &save).await else { panic!() };
        assert_eq!((saved.1.current_version, saved.2.version), (version, version));
    }
    assert_ne!(life.seen(stage.reads).await, "nothing");
    if stage.mirror.is_some() {
        assert_eq!(life.seen(Side::Old).await, life.seen(Side::New).await, "{stage}");
    }

    life.check(stage, &Operation::RemoveIdentity { id: one.id.clone() }).await;
    // The same binding again is the same person, back from the deleted.
    let Outcome::Identity(back) = life.check(stage, &Operation::CreateIdentity(new("p9", "k9"))).await else {
        panic!()
    };
    assert_eq!((back.id, back.status.as_str()), (one.id, "active"));
    let Outcome::Reset(reset) = life.check(stage, &Operation::ResetIdentities).await else { panic!() };
    assert_eq!((reset.identities, reset.books), (2, 1));
}

async fn combination(reads: bool, writes: bool, dual: bool) {
    for lock_first in [Side::Old, Side::New] {
        let stage = Stage::of(&["reads", "writes", "dual"], &[reads, writes, dual], lock_first).unwrap();
        let mut life = Life::begin().await;
        live_through(&mut life, stage).await;
    }
}

macro_rules! combinations {
    ($($name:ident: $reads:literal $writes:literal $dual:literal;)+) => {
        $(#[tokio::test]
        async fn $name() {
            combination($reads == 1, $writes == 1, $dual == 1).await;
        })+
    };
}

combinations! {
    flags_000_keep_everything_in_the_first_schema: 0 0 0;
    flags_001_write_the_first_and_copy_to_the_second: 0 0 1;
    flags_010_write_the_second_and_copy_to_the_first: 0 1 0;
    flags_011_write_the_second_and_copy_to_the_first: 0 1 1;
    flags_100_write_the_first_and_copy_to_the_second: 1 0 0;
    flags_101_write_the_first_and_copy_to_the_second: 1 0 1;
    flags_110_keep_everything_in_the_second_schema: 1 1 0;
    flags_111_write_the_second_and_copy_to_the_first: 1 1 1;
}

#[tokio::test]
async fn either_row_of_a_move_reads_what_was_written_under_the_other() {
    let set = accounts_set("v1");
    let stage = |name: &str| set.stage(name).unwrap();
    let dual = stage("dual");
    for declared in &set.moves {
        let (from, to) = (stage(&declared.from), stage(&declared.to));
        let mut life = Life::begin().await;
        life.check(dual, &Operation::Ensure).await;
        // Under the row before, then, by somebody who is ahead, under the row after: a reader of either sees both.
        for (at, stage) in [("before", from), ("after", to)] {
            let name = format!("{at} {} to {}", declared.from, declared.to);
            life.check(stage, &Operation::RenameWorkspace { name: name.clone() }).await;
            let readers: &[Stage] = if at == "before" && to.mirror.is_none() { &[from] } else { &[from, to] };
            for reader in readers {
                assert!(life.seen(reader.reads).await.contains(&name), "{name}, read under {reader}");
            }
        }
    }
    assert_eq!(set.rows.len(), ROWS.len());
}

#[tokio::test]
async fn a_row_that_was_deleted_for_good_goes_from_the_other_schema_with_the_next_copy() {
    let set = accounts_set("v1");
    let stage = set.stage("dual").unwrap();
    let mut life = Life::begin().await;
    life.check(stage, &Operation::Ensure).await;
    let wanted = PixbookWanted { binding: Binding::of("p", "k"), ..PixbookWanted::default() };
    let save = |payload| {
        let new = NewSnapshot { payload, ..NewSnapshot::default() };
        Operation::SavePixbook { wanted: wanted.clone(), new }
    };
    let Outcome::Saved(saved) = life.check(stage, &save(json!(1))).await else { panic!() };
    // What another program deletes in a transaction of its own is copied as any other change is.
    let gone = saved.2.id.clone();
    let outcome = run_tx(&life.session, "purge", &TxOptions::default(), async |session: &Session| {
        let mut write = Write::begin(session, stage);
        write.delete_snapshots(std::slice::from_ref(&gone)).await?;
        write.mirror().await
    })
    .await;
    assert!(matches!(outcome, TxOutcome::Committed(())), "{outcome:?}");
    assert_parity(&life.ground, "after the deletion").await;
    assert_eq!(life.ground.text("SELECT count(*) FROM pixbook_snapshots").await, "0");
}
