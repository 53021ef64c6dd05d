package main

import (
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages"
)

// recipeFlags are the flags of every verb that reads a recipe.
type recipeFlags struct {
	set        []string
	updateLock bool
	noTrain    bool
	retrain    bool
	jobs       int
}

func (f *recipeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "override a key of the recipe: --set runtime.jvm.profile=fast-start")
}

// addBuild adds the flags of the verbs that build.
func (f *recipeFlags) addBuild(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().BoolVar(&f.updateLock, "update-lock", false, "accept changed local files and pin new inputs")
	cmd.Flags().BoolVar(&f.noTrain, "no-train", false, "use the lock's class list even when the app has changed")
	cmd.Flags().BoolVar(&f.retrain, "retrain", false, "run the app anew to see which classes it loads")
	cmd.Flags().IntVarP(&f.jobs, "jobs", "j", 0, "processes of the kernel build (default: one for each processor)")
	cmd.MarkFlagsMutuallyExclusive("no-train", "retrain")
}

// request turns the flags into what the stages package wants.
func (c *cli) request(recipe string, f *recipeFlags) (stages.Request, error) {
	epoch, err := stages.EpochFromEnvironment()
	if err != nil {
		return stages.Request{}, fault.New(fault.Usage, err, "give the seconds since 1970, or unset it")
	}
	cache, err := c.cache()
	if err != nil {
		return stages.Request{}, err
	}
	q := stages.Request{
		RecipePath: recipe,
		Set:        f.set,
		CacheDir:   cache,
		Epoch:      epoch,
		Jobs:       f.jobs,
		Log:        c.logger(),
	}
	if f.updateLock {
		q.Pin = stages.PinChanged
	}
	switch {
	case f.noTrain:
		q.Train = stages.TrainNever
	case f.retrain:
		q.Train = stages.TrainAlways
	}
	return q, nil
}
