//! Reads a page and the files it names, inside its root.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tidegate_runbook::{FileContent, SourcePath, Sources, files_wanted};

use crate::failure::Failure;

/// Most bytes read of one text; the parser accepts far fewer and says so.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The file that marks a root.
const ROOT_MARK: &str = "tidegate.toml";

/// Reads the page at `path` and every file it names.
///
/// # Errors
/// Exit code 2 if the page cannot be read. What is wrong with its files, the parser says.
pub(crate) fn read(path: &Path) -> Result<Sources, Failure> {
    let unreadable = |why: String| {
        Failure::usage(
            format!("the page {} cannot be read: {why}", path.display()),
            "Name the runbook's page as an argument or in TIDEGATE_RUNBOOK.",
        )
    };
    let page = path.canonicalize().map_err(|error| unreadable(error.to_string()))?;
    if page.is_dir() {
        return Err(unreadable("it is a folder".to_owned()));
    }
    let page_bytes = bytes(&page).map_err(|error| unreadable(error.to_string()))?;
    let folder = page.parent().unwrap_or(Path::new("/"));
    let root = root_of(folder);
    let shown = SourcePath(relative(&page, &root));
    let files = files_wanted(&shown, &page_bytes)
        .into_iter()
        .map(|wanted| {
            let content = file(&root, &wanted);
            (wanted, content)
        })
        .collect::<BTreeMap<_, _>>();
    Ok(Sources { page: shown, page_bytes, files })
}

/// The nearest folder upward with `tidegate.toml`, else the repository's, else the page's own.
fn root_of(folder: &Path) -> PathBuf {
    let with = |mark: &str| folder.ancestors().find(|above| above.join(mark).exists());
    with(ROOT_MARK).or_else(|| with(".git")).unwrap_or(folder).to_owned()
}

fn relative(page: &Path, root: &Path) -> String {
    let inside = page.strip_prefix(root).unwrap_or(page);
    let parts: Vec<String> =
        inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

fn file(root: &Path, wanted: &SourcePath) -> FileContent {
    let path = match root.join(&wanted.0).canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return FileContent::Missing,
        Err(error) => return FileContent::Unreadable(error.to_string()),
    };
    // The root itself is canonical: it is above a canonical page.
    if !path.starts_with(root) {
        return FileContent::OutsideRoot;
    }
    if path.is_dir() {
        return FileContent::Unreadable("it is a folder".to_owned());
    }
    bytes(&path).map_or_else(|error| FileContent::Unreadable(error.to_string()), FileContent::Bytes)
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
