// SPDX-License-Identifier: Apache-2.0
//! gRPC's interop cases by tonic, over the HTTP/2 of hyper and h2 and the TLS of rustls: its own client of them is not
//! published.
//!   interop-client-rust HOST:PORT CASE [AUTHORITY.pem NAME]

use std::error::Error;
use std::time::Duration;

use tokio_stream::{self as stream, StreamExt};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

mod testing {
    tonic::include_proto!("grpc.testing");
}

use testing::test_service_client::TestServiceClient;
use testing::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingOutputCallRequest,
};

type Client = TestServiceClient<Channel>;
type Outcome = Result<(), Box<dyn Error>>;

const SIZES: [i32; 4] = [31415, 9, 2653, 58979];
const REQUESTS: [usize; 4] = [27182, 8, 1828, 45904];
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
const INITIAL: (&str, &str) = ("x-grpc-test-echo-initial", "test_initial_metadata_value");
const TRAILING: (&str, &[u8]) = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab");
const ENCODINGS: [(CompressionEncoding, &str); 2] = [
    (CompressionEncoding::Gzip, "gzip"),
    (CompressionEncoding::Deflate, "deflate"),
];

fn payload(size: usize) -> Option<Payload> {
    Some(Payload {
        body: vec![0; size],
        ..Default::default()
    })
}

fn large() -> SimpleRequest {
    SimpleRequest {
        response_size: 314159,
        payload: payload(271828),
        ..Default::default()
    }
}

fn check_large(response: &SimpleResponse) {
    let body = &response.payload.as_ref().expect("a payload").body;
    assert_eq!(body.len(), 314159);
    assert!(body.iter().all(|byte| *byte == 0));
}

fn input(size: usize, expect_compressed: Option<bool>) -> StreamingInputCallRequest {
    StreamingInputCallRequest {
        payload: payload(size),
        expect_compressed: expect_compressed.map(|value| BoolValue { value }),
    }
}

fn output(size: i32, compressed: Option<bool>, body: usize) -> StreamingOutputCallRequest {
    let compressed = compressed.map(|value| BoolValue { value });
    let parameters = ResponseParameters {
        size,
        compressed,
        ..Default::default()
    };
    StreamingOutputCallRequest {
        response_parameters: vec![parameters],
        payload: payload(body),
        ..Default::default()
    }
}

fn with_echo<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(INITIAL.0, MetadataValue::from_static(INITIAL.1));
    request
        .metadata_mut()
        .insert_bin(TRAILING.0, MetadataValue::from_bytes(TRAILING.1));
    request
}

fn check_echo(initial: &MetadataMap, trailing: &MetadataMap) {
    assert_eq!(initial.get(INITIAL.0).expect("initial metadata"), INITIAL.1);
    let value = trailing
        .get_bin(TRAILING.0)
        .expect("trailing metadata")
        .to_bytes()
        .expect("base64");
    assert_eq!(&value[..], TRAILING.1);
}

fn check_status(result: Result<(), Status>, code: Code, message: &str) {
    let status = result.expect_err("a failure");
    assert_eq!((status.code(), status.message()), (code, message));
}

async fn empty_unary(mut client: Client) -> Outcome {
    assert_eq!(client.empty_call(Empty {}).await?.into_inner(), Empty {});
    Ok(())
}

async fn large_unary(mut client: Client) -> Outcome {
    check_large(client.unary_call(large()).await?.get_ref());
    Ok(())
}

async fn client_streaming(mut client: Client) -> Outcome {
    let requests = stream::iter(REQUESTS.map(|size| input(size, None)));
    assert_eq!(
        client
            .streaming_input_call(requests)
            .await?
            .get_ref()
            .aggregated_payload_size,
        74922
    );
    Ok(())
}

async fn server_streaming(mut client: Client) -> Outcome {
    let response_parameters = SIZES
        .map(|size| ResponseParameters {
            size,
            ..Default::default()
        })
        .to_vec();
    let request = StreamingOutputCallRequest {
        response_parameters,
        ..Default::default()
    };
    let mut responses = client.streaming_output_call(request).await?.into_inner();
    for size in SIZES {
        let response = responses.message().await?.expect("a message");
        assert_eq!(response.payload.expect("a payload").body.len(), size as usize);
    }
    assert!(responses.message().await?.is_none());
    Ok(())
}

async fn ping_pong(mut client: Client) -> Outcome {
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let requests = stream::wrappers::ReceiverStream::new(receive);
    send.send(output(SIZES[0], None, REQUESTS[0])).await?;
    let mut responses = client.full_duplex_call(requests).await?.into_inner();
    for (i, size) in SIZES.iter().enumerate() {
        let response = responses.message().await?.expect("a message");
        assert_eq!(response.payload.expect("a payload").body.len(), *size as usize);
        if i + 1 < SIZES.len() {
            send.send(output(SIZES[i + 1], None, REQUESTS[i + 1])).await?;
        }
    }
    drop(send);
    assert!(responses.message().await?.is_none());
    Ok(())
}

async fn empty_stream(mut client: Client) -> Outcome {
    let mut responses = client.full_duplex_call(stream::empty()).await?.into_inner();
    assert!(responses.message().await?.is_none());
    Ok(())
}

async fn custom_metadata(mut client: Client) -> Outcome {
    let response = client.unary_call(with_echo(large())).await?;
    check_echo(response.metadata(), response.metadata()); // of a unary call both are in one map
    let request = with_echo(stream::once(output(SIZES[0], None, REQUESTS[0])));
    let response = client.full_duplex_call(request).await?;
    let initial = response.metadata().clone();
    let mut responses = response.into_inner();
    assert!(responses.message().await?.is_some());
    assert!(responses.message().await?.is_none());
    check_echo(&initial, &responses.trailers().await?.expect("trailers"));
    Ok(())
}

async fn echoed_status(mut client: Client, message: &str) -> Outcome {
    let response_status = Some(EchoStatus {
        code: 2,
        message: message.into(),
    });
    let request = SimpleRequest {
        response_status: response_status.clone(),
        ..Default::default()
    };
    check_status(client.unary_call(request).await.map(|_| ()), Code::Unknown, message);
    let request = StreamingOutputCallRequest {
        response_status,
        ..Default::default()
    };
    let result = match client.full_duplex_call(stream::once(request)).await {
        Ok(response) => response.into_inner().message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    check_status(result, Code::Unknown, message);
    Ok(())
}

async fn unimplemented(channel: Channel, path: &'static str) -> Outcome {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
    let result = client.unary(Request::new(Empty {}), path.parse()?, codec).await;
    assert_eq!(result.expect_err("a failure").code(), Code::Unimplemented);
    Ok(())
}

/// Nothing is heard of a call that is let go of; the connection goes on.
async fn cancel_after_begin(mut client: Client) -> Outcome {
    let call = client.streaming_input_call(stream::pending());
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    empty_unary(client).await
}

async fn cancel_after_first_response(mut client: Client) -> Outcome {
    let requests = stream::once(output(SIZES[0], None, REQUESTS[0])).chain(stream::pending());
    let mut responses = client.full_duplex_call(requests).await?.into_inner();
    assert!(responses.message().await?.is_some());
    drop(responses);
    empty_unary(client).await
}

/// tonic watches the time itself as well, and calls it CANCELLED.
async fn timeout_on_sleeping_server(mut client: Client) -> Outcome {
    let mut request = Request::new(stream::once(output(0, None, 27182)).chain(stream::pending()));
    request.set_timeout(Duration::from_millis(1));
    let result = match client.full_duplex_call(request).await {
        Ok(response) => {
            let mut responses = response.into_inner();
            loop {
                match responses.message().await {
                    Ok(message) => assert!(message.is_some()),
                    Err(status) => break status,
                }
            }
        }
        Err(status) => status,
    };
    assert!(
        matches!(result.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{result:?}"
    );
    Ok(())
}

/// The probe says that the server looks; then it sees what is compressed and what is not.
async fn client_compressed_unary(mut client: Client) -> Outcome {
    let request = |value| SimpleRequest {
        expect_compressed: Some(BoolValue { value }),
        ..large()
    };
    let probe = client.unary_call(request(true)).await;
    assert_eq!(probe.expect_err("a failure").code(), Code::InvalidArgument);
    for (encoding, _) in ENCODINGS {
        check_large(
            client
                .clone()
                .send_compressed(encoding)
                .unary_call(request(true))
                .await?
                .get_ref(),
        );
    }
    check_large(client.unary_call(request(false)).await?.get_ref());
    Ok(())
}

async fn server_compressed_unary(client: Client) -> Outcome {
    for (encoding, name) in ENCODINGS {
        let mut client = client.clone().accept_compressed(encoding);
        for value in [true, false] {
            let request = SimpleRequest {
                response_compressed: Some(BoolValue { value }),
                ..large()
            };
            let response = client.unary_call(request).await?;
            check_large(response.get_ref());
            if value {
                assert_eq!(response.metadata().get("grpc-encoding").expect("an encoding"), name);
            }
        }
    }
    Ok(())
}

async fn client_compressed_streaming(mut client: Client) -> Outcome {
    let probe = client
        .streaming_input_call(stream::once(input(27182, Some(true))))
        .await;
    assert_eq!(probe.expect_err("a failure").code(), Code::InvalidArgument);
    for (encoding, _) in ENCODINGS {
        let requests = stream::iter([27182, 45904].map(|size| input(size, Some(true))));
        let response = client
            .clone()
            .send_compressed(encoding)
            .streaming_input_call(requests)
            .await?;
        assert_eq!(response.get_ref().aggregated_payload_size, 73086);
    }
    Ok(())
}

async fn server_compressed_streaming(client: Client) -> Outcome {
    for (encoding, name) in ENCODINGS {
        let mut request = output(31415, Some(true), 0);
        request
            .response_parameters
            .extend(output(92653, Some(false), 0).response_parameters);
        let response = client
            .clone()
            .accept_compressed(encoding)
            .streaming_output_call(request)
            .await?;
        assert_eq!(response.metadata().get("grpc-encoding").expect("an encoding"), name);
        let mut responses = response.into_inner();
        for size in [31415, 92653] {
            let response = responses.message().await?.expect("a message");
            assert_eq!(response.payload.expect("a payload").body.len(), size);
        }
        assert!(responses.message().await?.is_none());
    }
    Ok(())
}

async fn run(channel: Channel, case: &str) -> Outcome {
    let client = TestServiceClient::new(channel.clone()).max_decoding_message_size(16 << 20);
    match case {
        "empty_unary" => empty_unary(client).await,
        "large_unary" => large_unary(client).await,
        "client_streaming" => client_streaming(client).await,
        "server_streaming" => server_streaming(client).await,
        "ping_pong" => ping_pong(client).await,
        "empty_stream" => empty_stream(client).await,
        "custom_metadata" => custom_metadata(client).await,
        "status_code_and_message" => echoed_status(client, "test status message").await,
        "special_status_message" => echoed_status(client, SPECIAL).await,
        "unimplemented_method" => unimplemented(channel, "/grpc.testing.TestService/UnimplementedCall").await,
        "unimplemented_service" => unimplemented(channel, "/grpc.testing.UnimplementedService/UnimplementedCall").await,
        "cancel_after_begin" => cancel_after_begin(client).await,
        "cancel_after_first_response" => cancel_after_first_response(client).await,
        "timeout_on_sleeping_server" => timeout_on_sleeping_server(client).await,
        "client_compressed_unary" => client_compressed_unary(client).await,
        "server_compressed_unary" => server_compressed_unary(client).await,
        "client_compressed_streaming" => client_compressed_streaming(client).await,
        "server_compressed_streaming" => server_compressed_streaming(client).await,
        _ => Err("there is no such case".into()),
    }
}

fn endpoint(arguments: &[String]) -> Result<Endpoint, Box<dyn Error>> {
    let endpoint = |scheme| Endpoint::from_shared(format!("{scheme}://{}", arguments[1]));
    if arguments.len() < 5 {
        return Ok(endpoint("http")?);
    }
    let authority = Certificate::from_pem(std::fs::read(&arguments[3])?);
    let tls = ClientTlsConfig::new()
        .ca_certificate(authority)
        .domain_name(&arguments[4]);
    Ok(endpoint("https")?.tls_config(tls)?)
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 3 {
        return Err("usage: interop-client-rust HOST:PORT CASE [AUTHORITY.pem NAME]".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = endpoint(&arguments)?.connect().await?;
        run(channel, &arguments[2]).await
    })?;
    println!("{}: passed", arguments[2]);
    Ok(())
}
