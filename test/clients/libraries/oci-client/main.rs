//! Pulls an image with oci-client. See libraries.ts for what it is told and what it prints.
use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE};
use oci_client::{secrets::RegistryAuth, Reference};
use std::env::{args, var};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().expect("the only one");
    let reference: Reference = args().nth(1).expect("a reference").parse()?;
    let mut config = ClientConfig { protocol: ClientProtocol::Http, ..Default::default() };
    if let Ok(ca) = var("CA") {
        config.protocol = ClientProtocol::Https;
        config.extra_root_certificates = vec![Certificate { encoding: CertificateEncoding::Pem, data: std::fs::read(ca)? }];
    }
    if let Ok(platform) = var("PLATFORM") {
        config.platform_resolver = Some(Box::new(move |manifests| {
            let of = |entry: &&oci_client::manifest::ImageIndexEntry| {
                entry.platform.as_ref().is_some_and(|one| format!("{}/{}", one.os, one.architecture) == platform)
            };
            manifests.iter().find(of).map(|entry| entry.digest.clone())
        }));
    }
    let auth = var("KEY").map_or(RegistryAuth::Anonymous, |key| RegistryAuth::Basic("anyone".into(), key));
    let layers = vec![IMAGE_LAYER_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE];
    match Client::new(config).pull(&reference, &auth, layers).await {
        Ok(image) => {
            let manifest = image.manifest.expect("a manifest");
            println!("{} {}", image.digest.unwrap_or_default(), manifest.config.digest);
            manifest.layers.iter().for_each(|layer| println!("{}", layer.digest));
            Ok(())
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
