//! A real browser: Chromium, by WebDriver, with a profile of its own.
//!
//! It reaches this machine only. `http://127.0.0.1` and every `http://NAME.localhost` are secure
//! contexts to it: `Secure` cookies and `__Host-` names work without TLS, and two such names are
//! two sites.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::cookies::Cookie;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{holds_within, path_from, raw, repository};

/// Where the Makefile puts Chromium, below the repository's root.
pub const CHROMIUM_PATH: &str = ".cache/chromium/chromium";
/// Where the Makefile puts its driver.
pub const CHROMEDRIVER_PATH: &str = ".cache/chromium/chromedriver";

/// How long the browser may take to start, and a page to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the driver is started before that is an error.
const DRIVER_STARTS: usize = 3;
/// Between two looks at a page.
const INTERVAL: Duration = Duration::from_millis(25);

/// A running browser; dropping it stops it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    // In the order in which they are dropped.
    _session: Session,
    _driver: Process,
    _folder: TempDir,
}

/// Choices to make before the start.
#[derive(Clone, Copy, Debug)]
pub struct BrowserBuilder {
    dark: bool,
    scripts: bool,
}

impl BrowserBuilder {
    /// Prefers dark pages.
    #[must_use]
    pub fn dark(mut self) -> Self {
        self.dark = true;
        self
    }

    /// Runs no scripts of pages.
    #[must_use]
    pub fn without_scripts(mut self) -> Self {
        self.scripts = false;
        self
    }

    /// Starts `$CHROMEDRIVER` and `$CHROMIUM`, or what the Makefile fetched.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn start(self) -> Browser {
        let folder = TempDir::with_prefix("browser").expect("a temporary folder");
        let (driver, port) = start_driver(&folder);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(self.capabilities(&folder))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|e| panic!("no browser: {e}\n{}", driver.log()));
        let id = client.session_id().await.expect("a session");
        Browser {
            client,
            _session: Session {
                port,
                id: id.expect("a session's id"),
            },
            _driver: driver,
            _folder: folder,
        }
    }

    fn capabilities(self, folder: &TempDir) -> Map<String, Value> {
        let profile = folder.path().join("profile");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            // It needs rights that a test has not.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--no-first-run".to_owned(),
            // It ends when its driver does.
            "--remote-debugging-pipe".to_owned(),
            // Nothing leaves this machine.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE *.localhost"
                .to_owned(),
            "--window-size=900,900".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let scheme = if self.dark { 0 } else { 1 };
        arguments.push(format!("--blink-settings=preferredColorScheme={scheme}"));
        let mut options = json!({
            "binary": path_from("CHROMIUM", CHROMIUM_PATH),
            "args": arguments,
        });
        if !self.scripts {
            let never = json!({"profile.managed_default_content_settings.javascript": 2});
            options["prefs"] = never;
        }
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities
    }
}

impl Browser {
    /// With scripts, and light pages.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// To choose.
    pub fn builder() -> BrowserBuilder {
        BrowserBuilder {
            dark: false,
            scripts: true,
        }
    }

    /// Whatever else WebDriver can do.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a page, and returns when it is loaded.
    ///
    /// # Panics
    /// When nobody answers there.
    pub async fn open(&self, url: &str) {
        let opened = self.client.goto(url).await;
        opened.unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    /// The URL of the page.
    ///
    /// # Panics
    /// When the browser is gone, as every method here.
    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("a URL").to_string()
    }

    /// The text of the page, as it is shown.
    ///
    /// # Panics
    /// When the page has no body.
    pub async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await;
        body.expect("a body").text().await.expect("a text")
    }

    /// Types into the field that a CSS selector finds.
    ///
    /// # Panics
    /// When there is none.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.wait_for(selector).await;
        field.clear().await.expect("a field");
        field.send_keys(text).await.expect("a field");
    }

    /// Presses the button, or follows the link, with exactly these words.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press(&self, words: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{words}']");
        let wait = self.client.wait().at_most(PATIENCE).every(INTERVAL);
        let found = wait.for_element(Locator::XPath(&path)).await;
        let found = found.unwrap_or_else(|e| panic!("{words}: {e}"));
        found.click().await.expect("something to press");
    }

    /// Waits for an element that a CSS selector finds.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn wait_for(&self, selector: &str) -> fantoccini::elements::Element {
        let wait = self.client.wait().at_most(PATIENCE).every(INTERVAL);
        let found = wait.for_element(Locator::Css(selector)).await;
        found.unwrap_or_else(|e| panic!("{selector}: {e}"))
    }

    /// Waits for a page whose text has this in it.
    ///
    /// # Panics
    /// When there is none in time; the message has the page's text.
    pub async fn wait_for_text(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Between two pages there is none.
            let shown = match self.client.find(Locator::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if shown.contains(text) {
                return;
            }
            let url = self.url().await;
            assert!(Instant::now() < deadline, "no {text:?} at {url}:\n{shown}");
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Waits for a page whose URL begins so, and returns its URL.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn wait_for_url(&self, prefix: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let url = self.url().await;
            if url.starts_with(prefix) {
                return url;
            }
            assert!(Instant::now() < deadline, "{url}, in place of {prefix}");
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Opens another tab, which is the current one from now on. [`Client::switch_to_window`] goes
    /// back.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn open_tab(&self) {
        let tab = self.client.new_window(true).await.expect("a tab");
        let switched = self.client.switch_to_window(tab.handle).await;
        switched.expect("the tab that was opened");
    }

    /// The cookies that the page's URL gets.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn cookies(&self) -> Vec<Cookie<'static>> {
        self.client.get_all_cookies().await.expect("cookies")
    }

    /// A picture of the page, in `target/screenshots/NAME.png`.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = repository().join("target/screenshots");
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let file = folder.join(format!("{name}.png"));
        let picture = self.client.screenshot().await.expect("a picture");
        fs::write(&file, picture).expect("a file for a picture");
        file
    }
}

/// The driver's session, which ends with the browser.
#[derive(Debug)]
struct Session {
    port: u16,
    id: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n",
            self.id, self.port
        );
        // The driver ends the browser, or has done so.
        let address = ([127, 0, 0, 1], self.port).into();
        let _ = raw::request(address, request.as_bytes());
    }
}

/// The driver, on a port of its own choice. Two that start at once may choose the same, and then one
/// gives up: it is started again.
fn start_driver(folder: &TempDir) -> (Process, u16) {
    let log = folder.path().join("driver.log");
    let program = path_from("CHROMEDRIVER", CHROMEDRIVER_PATH);
    for _ in 0..DRIVER_STARTS {
        let mut driver = Process::start(&program, &["--port=0"], &log)
            .unwrap_or_else(|e| panic!("{e}; `make e2e` fetches it"));
        holds_within(PATIENCE, || {
            port_in(&driver.log()).is_some() || driver.exited().is_some()
        });
        if let Some(port) = port_in(&driver.log()) {
            return (driver, port);
        }
    }
    let log = fs::read_to_string(log).unwrap_or_default();
    panic!("no driver:\n{log}");
}

/// The port in the driver's first words.
fn port_in(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("started successfully on port ")?;
    let (port, _) = rest.split_once('.')?;
    port.parse().ok()
}
