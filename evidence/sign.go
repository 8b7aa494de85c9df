package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"onevault/digest"
)

// Keys are ed25519 in the PEM forms that openssl reads and writes: PKCS #8 and SubjectPublicKeyInfo.
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
	maxKeyFile   = 1 << 16
)

// NewKey makes a pair of keys and writes them; neither file may exist. It returns the public key's fingerprint.
func NewKey(privatePath, publicPath string) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("encode the private key: %w", err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode the public key: %w", err)
	}
	if err := writeNew(privatePath, 0o600, pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: privateDER})); err != nil {
		return "", fmt.Errorf("write the private key: %w", err)
	}
	if err := writeNew(publicPath, 0o644, pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: publicDER})); err != nil {
		return "", errors.Join(fmt.Errorf("write the public key: %w", err), os.Remove(privatePath))
	}
	return digest.SHA256(publicDER), nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, mode os.FileMode, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// ReadPrivateKey reads the key that packs are signed with. A file that others may read is refused.
func ReadPrivateKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("private key %s may be read by others (%v): chmod 600 it, and make a new one if somebody may have", path, info.Mode().Perm())
	}
	der, err := readBlock(path, privateBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no ed25519 private key: make one with `onevault evidence keygen`", path)
	}
	return private, nil
}

// ReadPublicKey reads the key that signatures are checked with.
func ReadPublicKey(path string) (ed25519.PublicKey, error) {
	der, err := readBlock(path, publicBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	public, ok := key.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no ed25519 public key: give the .pub file that `onevault evidence keygen` made", path)
	}
	return public, nil
}

func readBlock(path, kind string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

// Fingerprint names a public key: SHA-256 in hex of its DER.
func Fingerprint(key ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encode the public key: %w", err)
	}
	return digest.SHA256(der), nil
}
