# Fit each design of a CSV by lme4: its REML log-likelihood and variances, as a CSV.
# Columns of the input: design, y, and one for each term, empty where a design has fewer.
suppressMessages(library(lme4))
files <- commandArgs(trailingOnly = TRUE)
values <- read.csv(files[1])
terms <- setdiff(names(values), c("design", "y"))
fits <- lapply(split(values, values$design), function(rows) {
  present <- terms[!is.na(rows[1, terms])]
  rows[present] <- lapply(rows[present], factor)
  formula <- reformulate(c("1", sprintf("(1 | %s)", present)), "y")
  fit <- function(optimizer, ...) suppressWarnings(suppressMessages(lmer(formula, rows,
    control = lmerControl(optimizer, check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
      check.nlev.gtreq.5 = "ignore", check.nlev.gtr.1 = "ignore", ...))))
  # What lme4 does by default, and one that stops later; the likelier counts.
  both <- list(fit("nloptwrap"), fit("bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5)))
  best <- both[[which.max(sapply(both, logLik))]]
  found <- as.data.frame(VarCorr(best))
  variances <- setNames(found$vcov, found$grp)
  c(rows$design[1], logLik(best), variances[c(terms, "Residual")])
})
table <- as.data.frame(do.call(rbind, lapply(fits, unname)))
names(table) <- c("design", "log_likelihood", terms, "residual")
write.csv(signif(table, 10), files[2], row.names = FALSE, quote = FALSE, na = "")
