// SPDX-License-Identifier: Apache-2.0
// INTEROP_PROTO names the file with the service.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = std::path::PathBuf::from(std::env::var("INTEROP_PROTO")?);
    let folder = proto.parent().ok_or("INTEROP_PROTO is in no folder")?;
    println!("cargo:rerun-if-env-changed=INTEROP_PROTO");
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(std::slice::from_ref(&proto), &[folder.to_path_buf()])?;
    Ok(())
}
