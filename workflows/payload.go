package workflows

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// The group of a storm holds thousands of alerts, and Temporal refuses a value of more than 2 MB. Values of
// that kind are packed on their way; what a person looks at in the Temporal UI stays readable.
const (
	packBeyond = 64 << 10
	// maxUnpacked bounds what a packed value may grow to, whoever packed it.
	maxUnpacked = 256 << 20

	packedEncoding = "binary/zstd"
	encodingKey    = "encoding" // Temporal's own name for it
)

// DataConverter is what every client of OneVault writes and reads values with.
func DataConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), packer{})
}

// packer is the codec: large values are packed whole, with what Temporal notes about them.
type packer struct{}

var zstdOf = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	// Neither fails with options that are right.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("open zstd: %v", err))
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("open zstd: %v", err))
	}
	return encoder, decoder
})

func (packer) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoder, _ := zstdOf()
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if out[i] = p; len(p.GetData()) <= packBeyond {
			continue
		}
		whole, err := p.Marshal()
		if err != nil {
			return nil, fmt.Errorf("pack a value: %w", err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{encodingKey: []byte(packedEncoding)},
			Data:     encoder.EncodeAll(whole, nil),
		}
	}
	return out, nil
}

func (packer) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	_, decoder := zstdOf()
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if out[i] = p; string(p.GetMetadata()[encodingKey]) != packedEncoding {
			continue
		}
		whole, err := decoder.DecodeAll(p.GetData(), nil)
		if err != nil {
			return nil, fmt.Errorf("unpack a value: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := out[i].Unmarshal(whole); err != nil {
			return nil, fmt.Errorf("unpack a value: %w", err)
		}
	}
	return out, nil
}
