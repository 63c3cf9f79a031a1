//! The page "Your own table": every command that it shows is run, and every line that it shows is looked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Outcome, Program, Running};

use crate::ledger_stage::on_stage;
use crate::small_page::{all, folder};

const PAGE: &str = include_str!("../../../../docs/your-own-table.md");

/// The page's example files, as they stand beside it.
const FILES: [(&str, &str); 5] = [
    ("before.sql", include_str!("../../../../docs/examples/orders/before.sql")),
    ("application.sql", include_str!("../../../../docs/examples/orders/application.sql")),
    ("traffic.sql", include_str!("../../../../docs/examples/orders/traffic.sql")),
    ("orders.md", include_str!("../../../../docs/examples/orders/orders.md")),
    ("sealed.md", include_str!("../../../../docs/examples/orders/sealed.md")),
];

const BOUND: Duration = Duration::from_secs(120);

/// A fenced block of the page.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

/// The fenced blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some(Block { language: language.to_owned(), lines: Vec::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// A line without what differs from run to run: whatever holds a digit, how long something took, user and host.
pub(crate) fn shape(line: &str) -> String {
    let word = |word| if str::contains(word, |c: char| c.is_ascii_digit()) { "#" } else { word };
    let words: Vec<&str> = line.split_whitespace().map(word).collect();
    let mut shape = words.join(" ");
    if let Some(on) = shape.find(" on ")
        && let (Some(open), Some(close)) = (shape[..on].rfind(" ("), shape[on..].find(')'))
    {
        shape.replace_range(open..=on + close, "");
    }
    shape.trim_end_matches(" # s)").to_owned()
}

/// The reader: a folder with the files, a server, and what was exported.
struct Reader {
    _cluster: Cluster,
    folder: PathBuf,
    exported: BTreeMap<String, String>,
}

impl Reader {
    async fn new() -> Self {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let folder = folder("own_table");
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap().display().to_string();
        let servers = cluster.programs().directory().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let exported = [
            ("PATH", format!("{program}:{servers}:{path}")),
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", cluster.port().to_string()),
            ("PGUSER", "postgres".to_owned()),
            ("XDG_STATE_HOME", folder.join("state").display().to_string()),
        ];
        let exported = exported.map(|(name, value)| (name.to_owned(), value)).into();
        Self { _cluster: cluster, folder, exported }
    }

    /// Does as a line of a block of sh says.
    async fn follow(&mut self, line: &str) {
        if let Some(variables) = line.strip_prefix("export ") {
            for (name, value) in variables.split(' ').filter_map(|variable| variable.split_once('=')) {
                let here = name == "BACKUP_DIR";
                let value = if here { self.folder.display().to_string() } else { value.to_owned() };
                self.exported.insert(name.to_owned(), value);
            }
        } else if !line.starts_with("cd ") {
            let outcome = self.run(line).await;
            assert_eq!(outcome.code(), Some(0), "{line}\n{}", all(&outcome));
        }
    }

    fn program(&self, line: &str) -> Program {
        let program = Program::new("/bin/sh").args(["-c", line]).directory(&self.folder);
        self.exported.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    async fn run(&self, line: &str) -> Outcome {
        self.program(line).run(BOUND).await.unwrap()
    }

    /// What one query answers.
    async fn asked(&self, database: &str, sql: &str) -> String {
        let outcome = self.run(&format!("psql -qAt -d {database} -c \"{sql}\"")).await;
        outcome.stdout.trim().to_owned()
    }

    /// Runs the commands of a block of text and looks for the lines below each.
    async fn compare(&self, lines: &[String]) {
        let mut said = String::new();
        for line in lines {
            if let Some(command) = line.strip_prefix("$ ") {
                said = all(&self.run(command).await);
            } else {
                let (wanted, mut found) = (shape(line), said.lines().map(shape));
                assert!(found.any(|found| found == wanted), "not said: {line}\n{wanted}\n{said}");
            }
        }
    }
}

const DIFFERING: &str = "SELECT count(*) FROM orders o FULL JOIN purchases p USING (id) \
    WHERE (lower(btrim(o.status)), o.amount * 100, o.placed_at, o.customer) \
    IS DISTINCT FROM (p.state, p.cents, p.placed_at, p.customer)";

#[test]
fn the_page_about_your_own_table_says_what_happens() {
    on_stage(async {
        let mut reader = Reader::new().await;
        let mut writing: Option<Running> = None;
        let files: String = FILES.iter().map(|(_, text)| *text).collect();
        let mut compared = 0;
        for block in blocks(PAGE) {
            match block.language.as_str() {
                "sh" => {
                    for line in &block.lines {
                        if line.contains("in a second terminal") {
                            writing = Some(reader.program(&format!("exec {line}")).start().unwrap());
                        } else {
                            reader.follow(line).await;
                        }
                    }
                }
                "text" => {
                    reader.compare(&block.lines).await;
                    compared += 1;
                }
                _ => assert!(files.contains(&block.lines.join("\n")), "in no file: {:?}", block.lines),
            }
        }
        let mut writing = writing.unwrap();
        assert!(writing.is_running(), "a write of the application failed: {}", writing.stderr());
        assert!(compared > 6, "{compared} blocks");
        let written = "SELECT count(*) > 10 FROM purchases WHERE customer = 'somebody'";
        assert_eq!(reader.asked("shop", written).await, "t");
        assert_eq!(reader.asked("shop", DIFFERING).await, "0");
        let sealed = async |table: &str| {
            let sql = format!("INSERT INTO {table} VALUES (70000, 'a', 'open', 1)");
            reader.run(&format!("psql -q -d shop_sealed -c \"{sql}\"")).await.code()
        };
        assert_eq!((sealed("orders").await, sealed("orders_before").await), (Some(0), Some(1)));
    });
}
