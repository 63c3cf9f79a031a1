//! No secret in anything that is written: output, journal, evidence, reports, bundles, command lines, the server's log.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use testkit::{ClusterOptions, Program};

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, SmallPage, all};

/// Needs percent-encoding in a URL, and differs in each of base64's alignments.
const PASSWORD: &str = "p@ss/wörd+42?";
const TOKEN: &str = "tok en&Geheim=7Zz";

/// `:token` reaches the server, a script and the page's hook; two steps fail in a way that repeats it.
const PAGE: &str = r#"# Secrets

```toml
# @runbook secrets
on_halt = ["/bin/sh", "-c", "env >> hook.txt"]
protect = ["audit.*"]

[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[stores.db.logins]
dump = "$DUMP_URL"

[parameters]
token = { type = "text", secret = true, env = "SHOP_TOKEN" }
mode = { type = "text", default = "none" }
backup_dir = { type = "path" }
```

## Ask

```sql
-- @check bound
-- @expect true
SELECT length(:token) > 5
```

```sql
-- @check repeats_it
-- @expect true
SELECT CASE WHEN :mode = 'repeat' THEN (:token)::int = 1 ELSE true END
```

```sql
-- @record kept
-- @evidence rows
SELECT CASE :mode WHEN 'raw' THEN 'Bearer ' || :token
  WHEN 'base64' THEN encode(convert_to('user:' || :token, 'UTF8'), 'base64')
  ELSE md5(:token) END AS header
```

```sh
# @check prints_it
# @harmless it prints
# @expect exit 0
echo "out $TG_TOKEN"
echo "err $TG_TOKEN" >&2
test "$TG_MODE" != script
```

## Change

```toml
# @backup copy
file = "{{backup_dir}}/secrets.dump"
rehearse = { waived = "the dump is not what is shown here" }
```

```sql
-- @migrate notes
-- @version 1
CREATE TABLE notes (id bigint, note text);
DO $$ BEGIN RAISE NOTICE 'noted'; END $$;
-- @undo
DROP TABLE notes;
```

```sql
-- @check slow_enough_to_be_watched
-- @expect true
SELECT pg_sleep(0.2) IS NOT NULL
```
"#;

#[test]
fn no_secret_is_written_anywhere_in_any_form() {
    on_stage(async {
        let small = SmallPage::with(ClusterOptions::default().log_statements()).await;
        small.write(PAGE);
        small.cluster.role_with_password("keeper", PASSWORD).await.unwrap();
        let name = small.database.name().to_owned();
        small.cluster.execute(&format!("ALTER DATABASE {name} OWNER TO keeper")).await.unwrap();
        small.database.execute("GRANT ALL ON SCHEMA public TO keeper").await;
        // Where statements are logged with their values, the role must be allowed to stop that.
        small
            .database
            .execute("GRANT SET ON PARAMETER log_parameter_max_length, log_min_messages TO keeper")
            .await;
        // What the test itself told the server is not what is looked for.
        let before = small.cluster.log().unwrap().len();
        let url =
            format!("postgresql://keeper:{}@127.0.0.1:{}/{name}", percent(PASSWORD), small.cluster.port());
        let with_environment = |program: Program| {
            program
                .env("DATABASE_URL", &url)
                .env("DUMP_URL", &url)
                .env("SHOP_TOKEN", TOKEN)
                .args(["-vv".to_owned()])
        };
        let backups = format!("backup_dir={}", small.folder().display());
        let lines = CommandLines::watch();
        let mut written = Vec::new();

        for (mode, code) in [("repeat", 3), ("script", 3), ("raw", 3), ("base64", 3), ("none", 0)] {
            let mode = format!("mode={mode}");
            let run = small.program(["run", "page.md", "--apply", "--actor", "ann"]);
            let run =
                with_environment(run.args(["--set", &mode, "--set", &backups])).run(BOUND).await.unwrap();
            assert_eq!(run.code(), Some(code), "{}", all(&run));
            written.push((format!("run {mode}"), all(&run)));
            if code != 0 {
                let reason = ["abandon", "page.md", "--actor", "ann", "--reason", "next"];
                let given_up = with_environment(small.program(reason)).run(BOUND).await.unwrap();
                assert_eq!(given_up.code(), Some(0), "{}", all(&given_up));
            }
        }
        for arguments in [
            ["status", "page.md"].as_slice(),
            &["status", "page.md", "--json"],
            &["plan", "page.md", "--set", &backups],
            &["events", "page.md"],
            &["events", "page.md", "--json"],
            &["report", "page.md"],
            &["report", "page.md", "--json", "--bundle", "bundle.json"],
            &["recheck", "page.md"],
            &["doctor", "page.md"],
            &["sessions", "page.md", "--json"],
            &["rollback", "page.md"],
            &["run", "page.md", "--apply", "--actor", "ann", "--set", "token"],
        ] {
            let told = with_environment(small.program([]).args(arguments)).run(BOUND).await.unwrap();
            assert!(told.code().is_some_and(|code| code <= 3), "{arguments:?} {}", all(&told));
            written.push((format!("{arguments:?}"), all(&told)));
        }
        let wrong = format!("postgresql://keeper:{}@127.0.0.1:9/{name}", percent(PASSWORD));
        let nowhere = with_environment(small.program(["status", "page.md"])).env("DATABASE_URL", wrong);
        written.push(("an unreachable server".to_owned(), all(&nowhere.run(BOUND).await.unwrap())));

        written.push((
            "bundle".to_owned(),
            std::fs::read_to_string(small.folder().join("bundle.json")).unwrap(),
        ));
        written.push(("server log".to_owned(), small.cluster.log().unwrap().split_off(before)));
        written.push(("command lines".to_owned(), lines.end()));
        for (table, column) in
            [("event", "body"), ("evidence", "body"), ("plan", "sources"), ("request", "body")]
        {
            let sql = format!("SELECT coalesce(string_agg({column}, E'\\n'), '') FROM tidegate.{table}");
            written.push((format!("table {table}"), small.database.value(&sql).await));
        }
        let hook = std::fs::read_to_string(small.folder().join("hook.txt")).unwrap();
        assert!(hook.contains("TG_MESSAGE="), "the hook was called: {hook}");
        written.push(("hook".to_owned(), hook));

        for part in ["server log", "command lines"] {
            let (_, text) = written.iter().find(|(name, _)| name == part).unwrap();
            assert!(
                text.contains("keeper") || text.contains("tidegate"),
                "{part} holds what was done: {text}"
            );
        }
        for (name, text) in &written {
            for (secret, form) in forms() {
                assert!(!text.contains(&form), "{name} holds {secret} as {form:?}:\n{}", around(text, &form));
            }
        }
    });
}

#[test]
fn a_secret_is_not_bound_where_the_server_would_log_it() {
    on_stage(async {
        let small = SmallPage::with(ClusterOptions::default().log_statements()).await;
        small.write(PAGE);
        small.cluster.role("keeper").await.unwrap();
        let name = small.database.name().to_owned();
        small.cluster.execute(&format!("ALTER DATABASE {name} OWNER TO keeper")).await.unwrap();
        let backups = format!("backup_dir={}", small.folder().display());
        let url = small.database.url_for("keeper");
        let run = small
            .program(["run", "page.md", "--apply", "--actor", "ann", "--set", &backups])
            .env("DATABASE_URL", &url)
            .env("DUMP_URL", &url)
            .env("SHOP_TOKEN", TOKEN);
        let halted = run.run(BOUND).await.unwrap();
        assert_eq!(halted.code(), Some(3), "{}", all(&halted));
        for part in ["the server would write a secret into its log", "GRANT SET ON PARAMETER"] {
            assert!(halted.stdout.contains(part), "{part}: {}", all(&halted));
        }
        let log = small.cluster.log().unwrap();
        assert!(log.contains("statement: ") && !log.contains(TOKEN), "nothing was bound");
    });
}

/// Every form of every secret that is looked for.
fn forms() -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    for secret in [PASSWORD, TOKEN] {
        forms.push((secret, secret.to_owned()));
        forms.push((secret, percent(secret)));
        forms.push((secret, percent(secret).to_lowercase()));
        forms.push((secret, secret.replace(' ', "+").replace('&', "%26")));
        forms.push((secret, serde_json::to_string(secret).unwrap().trim_matches('"').to_owned()));
        for before in ["", "user:", "x", "xy"] {
            let whole = base64(format!("{before}{secret}").as_bytes());
            // What the text before it and the padding behind it make of its first and last letters is left out.
            let from = (before.len() * 4).div_ceil(3) + 1;
            forms.push((secret, whole[from..whole.len() - 4].to_owned()));
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[usize::try_from(bits >> (18 - 6 * place) & 63).unwrap()]);
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}

fn around(text: &str, form: &str) -> String {
    text.lines().filter(|line| line.contains(form)).take(3).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_forms_that_are_looked_for_are_those_that_would_be_written() {
    assert_eq!(base64(b"foob"), "Zm9vYg==");
    assert_eq!(percent("a b/ö"), "a%20b%2F%C3%B6");
    let basic = base64(format!("user:{TOKEN}").as_bytes());
    assert!(forms().iter().any(|(secret, form)| *secret == TOKEN && basic.contains(form)), "{basic}");
}

/// Collects the command lines and environments' names of every process, as often as it can, until its end.
struct CommandLines {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    watcher: std::thread::JoinHandle<()>,
}

impl CommandLines {
    fn watch() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&seen));
        let watcher = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(processes) = std::fs::read_dir("/proc") else { return };
                for process in processes.flatten() {
                    let Ok(line) = std::fs::read(process.path().join("cmdline")) else { continue };
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    kept.lock().unwrap().insert(line);
                }
            }
        });
        Self { stop, seen, watcher }
    }

    fn end(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap();
        let seen = self.seen.lock().unwrap();
        assert!(seen.iter().any(|line| line.contains("pg_dump")), "the dump was seen: {seen:?}");
        // Other programs of this machine may be anything: only ours and the server's are looked at.
        let ours = |line: &&String| {
            ["tidegate ", "pg_dump", "pg_restore", "postgres:", "/bin/sh"]
                .iter()
                .any(|name| line.contains(name))
        };
        seen.iter().filter(ours).cloned().collect::<Vec<_>>().join("\n")
    }
}
