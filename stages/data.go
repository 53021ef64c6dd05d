package stages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/imgbuild/imgbuild/builder"
)

const kindData = "data"

// dataParams describe the empty data filesystem.
type dataParams struct {
	Size  int64  `json:"size"`
	UUID  string `json:"uuid"`
	Seed  string `json:"seed"` // of the directory hash
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
	Epoch int64  `json:"epoch"`
}

// data adds the stage that makes the data partition.
func (s *set) data() string {
	return s.add(builder.Stage{
		Name:    "data",
		Title:   "make the data partition",
		Kind:    kindData,
		Version: 1,
		Tools:   s.versions("mke2fs"),
	}, s.dataParams(int64(s.Recipe.Recipe.Disk.Data.Size)))
}

// dataParams describes the data filesystem, of that size in bytes.
func (s *set) dataParams(size int64) dataParams {
	app := s.Recipe.Recipe.App
	return dataParams{
		Size:  size,
		UUID:  s.guid("data filesystem").String(),
		Seed:  s.guid("data hash seed").String(),
		UID:   app.UID,
		GID:   app.GID,
		Epoch: s.Epoch.Unix(),
	}
}

// filesystem returns what the parameters describe.
func (p dataParams) filesystem() ext4 {
	return ext4{size: p.Size, uuid: p.UUID, seed: p.Seed, label: "data", epoch: p.Epoch, uid: p.UID, gid: p.GID}
}

// makeData is the runner.
func (o Options) makeData(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[dataParams](w)
	if err != nil {
		return nil, err
	}
	image := filepath.Join(w.Dir, "data.img")
	if err := p.filesystem().make(ctx, w, image); err != nil {
		return nil, err
	}
	desc, err := putImage(ctx, w, image)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"image": desc}, nil
}

// ext4 describes an empty ext4 filesystem.
type ext4 struct {
	size  int64 // bytes
	uuid  string
	seed  string // of the directory hash
	label string
	epoch int64 // seconds
	// most is what the filesystem may grow to, in bytes, with the table of its
	// block groups in one place; 0 leaves that to mke2fs.
	most int64
	// inodes is their number; 0 leaves it to mke2fs.
	inodes int
	// uid and gid own the root directory.
	uid, gid int
}

// make writes the filesystem to a file. Its bytes depend on nothing but the
// description.
func (e ext4) make(ctx context.Context, w *builder.Work, image string) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	err = f.Truncate(e.size)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("making room for the %s filesystem: %w", e.label, err)
	}
	// E2FSPROGS_FAKE_TIME is what version 1.47.0 knows; SOURCE_DATE_EPOCH
	// came later. An empty configuration file keeps the host's defaults out.
	env := []string{"E2FSPROGS_FAKE_TIME=" + strconv.FormatInt(max(e.epoch, 1), 10), "MKE2FS_CONFIG=/dev/null",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(e.epoch, 10)}
	extended := fmt.Sprintf("hash_seed=%s,lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=%d:%d", e.seed, e.uid, e.gid)
	if e.most > e.size {
		extended += fmt.Sprintf(",resize=%d", e.most/4096)
	}
	args := []string{"-F", "-q", "-b", "4096", "-I", "256", "-m", "0", "-L", e.label, "-U", e.uuid,
		"-E", extended,
		"-O", "extent,flex_bg,dir_index,metadata_csum,64bit,huge_file,large_file,extra_isize,sparse_super,filetype,has_journal,resize_inode"}
	if e.inodes > 0 {
		args = append(args, "-N", strconv.Itoa(e.inodes))
	}
	return runTool(ctx, w, env, "mke2fs", append(args, image, strconv.FormatInt(e.size>>10, 10)+"k")...)
}
