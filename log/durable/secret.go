package durable

import (
	"fmt"
	"io"
	"os"
)

// maxSecret bounds a file of secrets: ten thousand credentials of 200 bytes.
const maxSecret = 2 << 20

// ReadSecret reads a file that nobody but this process's user may read or
// change. Anything else is refused: a link, a file of somebody else's, one that
// others may open.
func ReadSecret(path string) ([]byte, error) {
	f, data, err := OpenSecret(path)
	if err != nil {
		return nil, err
	}
	return data, f.Close()
}

// OpenSecret is ReadSecret that leaves the file open. It is judged after it was
// opened: a name could lead elsewhere between the two.
func OpenSecret(path string) (*os.File, []byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		if info, failed := os.Lstat(path); failed == nil && info.Mode()&os.ModeSymlink != 0 {
			err = fmt.Errorf("%s is not a plain file: a link could lead to what somebody else writes", path)
		}
		return nil, nil, err
	}
	data, err := readSecret(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s %w", path, err)
	}
	return f, data, nil
}

func readSecret(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("is not a plain file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("may be read by others (mode %04o): chmod 600 %s", info.Mode().Perm(), f.Name())
	case !ours(info):
		return nil, fmt.Errorf("belongs to another user: chown it to the one that runs this")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("is over %d bytes long", maxSecret)
	}
	return data, err
}
