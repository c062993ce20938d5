//! The command `lisa serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{mpsc, Arc};

use anyhow::Context;
use lisa::signals::{exit_code, on_each_and_interrupts};
use lisa::web::{EngineBackend, Limits, Listener, Token, WebConfig};

use super::model_args::{ModelArgs, SamplingArgs};

/// A page for a browser, and an HTTP interface: pictures and questions in, masks and answers out.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa serve                                  then open http://127.0.0.1:8080/
  lisa serve --model models/lisa-7b --port 9000
  LISA_WEB_TOKEN=$(openssl rand -hex 16) lisa serve --address 0.0.0.0
  curl -F image=@table.png -F 'instruction=Where is the mug?' http://127.0.0.1:8080/v1/segment

From another computer, without a token and encrypted: ssh -L 8080:127.0.0.1:8080 ROBOT

Calls (docs/WEB.md):
  POST /v1/segment                 a question; answers JSON, events (?stream=true) or a drawn PNG
  GET /v1/model                    the model, and what is accepted
  GET /v1/pictures/ID              a picture that was asked about
  DELETE /v1/conversations/ID      forgets a conversation
  GET /metrics, /healthz           for Prometheus, for supervisors

Exit codes: 0 after Ctrl-C or SIGTERM; 1 where it cannot start.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Where to listen. Any address that is not of this computer's loopback interface needs a token
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// 0 is any free one; the line that is printed says which
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// What callers have to know, 16 to 256 letters, digits and signs. In the environment other users of this computer do not see
    /// it
    #[arg(long, env = "LISA_WEB_TOKEN", hide_env_values = true)]
    token: Option<Token>,
    /// A name of this computer that requests may carry beside localhost, where a proxy stands in front; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Largest picture file that is accepted, MiB
    #[arg(long, value_name = "MIB", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=256))]
    max_picture: u32,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let listener = Listener::bind(WebConfig {
        address: SocketAddr::new(args.address, args.port),
        token: args.token,
        hosts: args.allow_host,
        limits: Limits {
            picture_bytes: (args.max_picture as usize) << 20,
            ..Limits::default()
        },
    })?;
    let engine = args.model.start(true)?;
    let model = engine.model().clone();
    let options = args.model.options(args.sampling.seed);
    // Until here a signal ends the program as it ends any other.
    let (asked, signals) = mpsc::channel();
    on_each_and_interrupts(move |signal| {
        // The second one does not wait for what the first one began.
        if asked.send(signal).is_err() {
            std::process::exit(exit_code(signal));
        }
    })
    .context("cannot handle Ctrl-C")?;
    let server = listener.serve(Arc::new(EngineBackend::new(engine, options)))?;
    say!("{model}");
    say!("http://{}/ (Ctrl-C ends)", server.address());
    let _ = signals.recv();
    drop(signals);
    drop(server);
    Ok(())
}
